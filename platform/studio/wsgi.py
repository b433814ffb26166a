import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
_django = get_wsgi_application()

# Imported when Django is set up, because it belongs to an app.
from studio.pages.request_text import only_text_encodings  # noqa: E402

application = only_text_encodings(_django)
