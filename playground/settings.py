"""All settings, in one file, driven by the environment.

Without any variable this is a site for one machine: bound to localhost, its secret key made on first
use and kept in the data folder. MAILROOM_PRODUCTION=1 makes it a public site; then a value that is
missing raises here, at start, and is named.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("MAILROOM_VAR") or BASE_DIR / "var")
PRODUCTION = os.environ.get("MAILROOM_PRODUCTION") == "1"


def _required(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ImproperlyConfigured(f"{name} must be set in production.")
    return value


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _kept_secret(file: Path) -> str:
    """A secret key of this machine's own, made once. Only its owner can read the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    with os.fdopen(handle, "w") as new:
        key = secrets.token_urlsafe(50)
        new.write(key)
    return key


# -- who we are -----------------------------------------------------------------------------------

DEBUG = os.environ.get("MAILROOM_DEBUG") == "1" and not PRODUCTION

if PRODUCTION:
    SECRET_KEY = _required("MAILROOM_SECRET_KEY")
    ALLOWED_HOSTS = _listed(_required("MAILROOM_HOSTS"))
    ORIGINS = _listed(_required("MAILROOM_ORIGINS"))
    DATABASE = _required("MAILROOM_DATABASE")
else:
    SECRET_KEY = os.environ.get("MAILROOM_SECRET_KEY") or _kept_secret(VAR_DIR / "secret-key")
    ALLOWED_HOSTS = _listed(os.environ.get("MAILROOM_HOSTS", "localhost,127.0.0.1,[::1]"))
    ORIGINS = _listed(os.environ.get("MAILROOM_ORIGINS", ""))
    DATABASE = os.environ.get("MAILROOM_DATABASE") or str(VAR_DIR / "mailroom.sqlite3")

# ORIGINS are full origins (https://mailroom.example:8443): those whose pages may open sockets and post
# forms here. Empty means the origin of the very address that was asked, as on one machine.
CSRF_TRUSTED_ORIGINS = ORIGINS

# -- parts ----------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "servestatic",
    "lessons.apps.LessonsConfig",
    "playground.apps.PlaygroundConfig",
    "playground.runs.apps.RunsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "playground.security.ContentSecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",  # before what may answer by itself
    "playground.errors.ErrorPageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]

ROOT_URLCONF = "playground.urls"
ASGI_APPLICATION = "playground.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "playground.modules.modules",
            ],
        },
    },
]


def _database(where: str) -> dict[str, object]:
    """A file of SQLite's, or postgresql://user:password@host:port/name."""
    if not where.startswith(("postgresql://", "postgres://")):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(where),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            },
            "TEST": {"NAME": VAR_DIR / "test.sqlite3"},
        }
    try:
        parts = urlsplit(where)
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured("MAILROOM_DATABASE cannot be read as an address.") from None
    if not parts.path.strip("/"):
        raise ImproperlyConfigured("MAILROOM_DATABASE must name a database: postgresql://…/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(port or ""),
        "CONN_MAX_AGE": None,  # the journal's threads keep theirs; a broken one is left for good
        "OPTIONS": {"connect_timeout": 2, "options": "-c statement_timeout=5000 -c lock_timeout=5000"},
    }


DATABASES = {"default": _database(DATABASE)}
# Redis carries hints between several processes of one site (redis://host:6379/0). One process needs none.
REDIS_URL = os.environ.get("MAILROOM_REDIS_URL", "")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- words, times and files -----------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]

# Collected files have their digest in their name, are compressed and cached for ever; that is what
# `make run` and production serve. Otherwise files come as they lie, so that an edit is seen at once.
STATIC_COLLECTED = PRODUCTION or os.environ.get("MAILROOM_STATIC") == "collected"
_STORAGE = (
    "playground.lean.LeanStorage"
    if STATIC_COLLECTED
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _STORAGE},
}
SERVESTATIC_USE_MANIFEST = STATIC_COLLECTED
SERVESTATIC_USE_FINDERS = not STATIC_COLLECTED
SERVESTATIC_AUTOREFRESH = not STATIC_COLLECTED
SERVESTATIC_MAX_AGE = 60 if STATIC_COLLECTED else 0
SERVESTATIC_ALLOW_ALL_ORIGINS = False

# Where Celery's bell hangs: a folder of this machine's, or amqp://user:password@host:5672// and the like.
BROKER = os.environ.get("MAILROOM_BROKER", "").strip() or "filesystem://localhost//"

SCENARIOS_DIR = Path(os.environ.get("MAILROOM_SCENARIOS", BASE_DIR / "lessons" / "scenarios"))
# Reviews that fall due on the same day are spread by some chance; tests want the same day each time.
REVIEW_FUZZ = True
LESSONS_DIR = Path(os.environ.get("MAILROOM_LESSONS", BASE_DIR / "lessons" / "content"))

# -- safety ---------------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "playground.errors.csrf_failure"
SEAT_COOKIE_NAME = "mailroom_seat"
LEARNER_COOKIE_NAME = "mailroom_learner"

if PRODUCTION:
    SECURE_SSL_REDIRECT = os.environ.get("MAILROOM_SSL_REDIRECT", "1") == "1"
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked by machines, from inside
    SECURE_HSTS_SECONDS = 63_072_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    CSRF_COOKIE_SECURE = True
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SEAT_COOKIE_NAME = "__Host-mailroom_seat"
    LEARNER_COOKIE_NAME = "__Host-mailroom_learner"
    if os.environ.get("MAILROOM_BEHIND_PROXY") == "1":
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "mailroom": {"level": "INFO"},
        # a page that is not there is no event worth a line
        "django.request": {"level": "ERROR"},
        # nor is a request for another host: anybody can send as many as they like
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
