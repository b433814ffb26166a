"""Settings of the platform. `environment.py` says which environment variables it reads."""

import os
from pathlib import Path

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from studio.environment import (
    LOOPBACK_HOSTS,
    broker_socket,
    database_settings,
    private_dir,
    read_environment,
    refuse_open_files,
    secret_key,
)

# Every process of ours reads the settings first: web, workers, commands, and by inheritance their
# children. What they write is for their own user.
os.umask(0o077)

ROOT = Path(__file__).resolve().parents[2]
STUDIO = ROOT / "platform" / "studio"

_environment = read_environment(default_data_dir=ROOT / "var")

STUDIO_DATA_DIR = _environment.data_dir
STUDIO_REDIS_URL = _environment.redis_url
STUDIO_BROKER_SOCKET = broker_socket(STUDIO_DATA_DIR)

# Runs: docs/run_lifecycle.md says how these bound detection and recovery.
STUDIO_LEASE_SECONDS = _environment.lease_seconds
STUDIO_HEARTBEAT_SECONDS = STUDIO_LEASE_SECONDS / 9
STUDIO_SELF_KILL_SECONDS = STUDIO_LEASE_SECONDS * 5 / 6
STUDIO_REAP_SECONDS = STUDIO_LEASE_SECONDS / 6
STUDIO_RESEND_SECONDS = 60.0 if STUDIO_REDIS_URL else 5.0
STUDIO_STOP_GRACE_SECONDS = _environment.stop_grace_seconds
STUDIO_DEADLINE_SECONDS = {"compute": 30 * 24 * 3600.0, "interactive": 1800.0}
STUDIO_COMPUTE_THREADS = _environment.num_compute_threads
STUDIO_COMPUTE_MEMORY_BYTES = _environment.compute_memory_bytes
STUDIO_ISOLATION = _environment.isolation
# Everything on this machine and for the one who started it: `make demo`, `manage.py up`.
STUDIO_IS_EMBEDDED = not (_environment.database_url or _environment.redis_url)
STUDIO_PIPELINE_COMMAND = _environment.pipeline_command

# Disk: docs/operations.md says what is refused, and what is removed when.
STUDIO_DISK_RESERVE_BYTES = round(_environment.disk_reserve_gb * 1e9)
STUDIO_RETENTION_DAYS = _environment.retention_days
# Called by the dispatcher every so often.
STUDIO_HOUSEKEEPING_SECONDS = 3600.0
STUDIO_HOUSEKEEPING = ["studio.storage.sweeping.sweep_old"]

# Folders from which models may be imported: whoever may write there decides what is offered.
STUDIO_IMPORT_DIRS = list(_environment.import_dirs)
# Called with (run, report) in the transaction in which a run succeeds.
STUDIO_RUN_PUBLISHERS = [
    "studio.runs.inputs.refuse_linked_outputs",
    "studio.datasets.publishers.publish_version",
    "studio.datasets.mappings.remember_mapping",
    "studio.revisions.publishers.publish_revision",
    "studio.registry.publishers.publish_checkpoint",
    "studio.quality.publishers.publish_cleaned",
    "studio.registry.certificates.publish_certificates",
]
# Called with (run, report): the address of what was published, by the name of its output.
STUDIO_OUTPUT_PAGES = [
    "studio.datasets.publishers.version_page",
    "studio.registry.publishers.checkpoint_page",
]
# Called with (path): parameters of the model there, or None.
STUDIO_MODEL_SIZES = ["studio.registry.sizes.num_parameters"]
# Called with (project, named input) before a run is queued: whether it is an object of theirs. A
# path that none of them knows is refused.
STUDIO_RUN_INPUTS = [
    "studio.runs.inputs.is_run_output",
    "studio.datasets.run_inputs.is_version",
    "studio.datasets.run_inputs.is_upload",
    "studio.datasets.run_inputs.is_example",
    "studio.datasets.task_files.is_task_folder",
    "studio.registry.run_inputs.is_checkpoint",
    "studio.registry.run_inputs.is_base_model",
    "studio.registry.run_inputs.is_candidate",
]
# Called with (user) when what they may do has changed: ends what lacks its reason, says how many.
STUDIO_RIGHT_ENDERS = ["studio.runs.rights.runs_review"]

DEBUG = _environment.is_debug
SECRET_KEY = secret_key(STUDIO_DATA_DIR)
refuse_open_files(STUDIO_DATA_DIR)
ALLOWED_HOSTS = list(_environment.allowed_hosts)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "csp",
    "django_htmx",
    "studio.pages",
    "studio.accounts",
    "studio.datasets",
    "studio.revisions",
    "studio.registry",
    "studio.quality",
    "studio.runs",
    "studio.stack",
    "studio.storage",
    "studio.measures",
    "studio.evaluations",
    "studio.published",
    "studio.comparisons",
    "studio.launch",
    "studio.home",
    "studio.demonstration",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    # Before everything that reads what was sent.
    "studio.pages.request_text.RequestTextMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Behind the static files: whatever comes from here on was made for one visitor.
    "studio.accounts.sessions.NoStoreMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Every view needs a signed-in user unless it says `login_not_required`.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "studio.accounts.sessions.IdleSignOutMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "studio.pages.dropped_body.DroppedBodyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "studio.urls"
WSGI_APPLICATION = "studio.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studio.home.frame.frame",
            ],
            "builtins": ["studio.pages.template_tags"],
        },
    },
]

# Forms find their templates in templates/ as pages do.
FORM_RENDERER = "studio.pages.forms.FormRenderer"

DATABASES = {"default": database_settings(_environment.database_url, STUDIO_DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "home:projects"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
STUDIO_DEVICE_COOKIE_NAME = "device"
# Whose X-Forwarded-For is believed: `accounts.visitors`.
STUDIO_TRUSTED_PROXIES = list(_environment.trusted_proxies)
CSRF_FAILURE_VIEW = "studio.pages.errors.csrf_failure"
if _environment.is_https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked by the proxy itself
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-session"
    STUDIO_DEVICE_COOKIE_NAME = "__Host-device"
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrf"
    CSRF_TRUSTED_ORIGINS = [
        f"https://{host}" for host in ALLOWED_HOSTS if host not in LOOPBACK_HOSTS
    ]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # Tabler draws the ticks and arrows of form fields as data: images in its style sheet.
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [STUDIO / "locale"]
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

STATIC_URL = "static/"
STATICFILES_DIRS = [STUDIO / "static"]
# Nothing to collect before the first start: files are served where they lie.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
# Vendored files carry their version in the name, so a browser may keep them for ever.
WHITENOISE_IMMUTABLE_FILE_TEST = r"/vendor/"

MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
STUDIO_MAX_UPLOAD_BYTES = 200 * 1024 * 1024
# Uploads that arrive, or lie there neither kept as a version nor discarded: number, bytes together.
STUDIO_MAX_UNFINISHED_PER_USER = (20, 2 * 1024**3)
STUDIO_MAX_UNFINISHED_PER_PROJECT = (100, 10 * 1024**3)
FILE_UPLOAD_HANDLERS = ["studio.datasets.upload_handler.CappedUploadHandler"]
# On the disk where uploads are kept, so that a file is stored by renaming it.
FILE_UPLOAD_TEMP_DIR = private_dir(STUDIO_DATA_DIR / "uploads" / "partial")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
