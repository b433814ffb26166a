"""Makes Django's models usable in a worker process, whatever directory it was started from."""

import os
import sys
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent


def setup_django() -> None:
    """Settings, models and logging are ready; `platform/` and the repository are importable."""
    for source_root in (ROOT / "platform", ROOT):
        if str(source_root) not in sys.path:
            sys.path.insert(0, str(source_root))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
    django.setup()
