"""The server's settings, all from the environment (variables SCALELEDGER_SERVER_*; the list is in server/README.md).

Importing this module writes nothing: the secret key is made when something first asks for it.
"""

from pathlib import Path
from typing import Any, cast

import django
from django.utils.functional import SimpleLazyObject

from scaleledger_server import appearance, env, limits

DATA_DIR = env.folder("SCALELEDGER_SERVER_DATA_DIR", Path("~/.scaleledger-server"))
SECRET_KEY = cast(
    "str", SimpleLazyObject(lambda: env.secret_key("SCALELEDGER_SERVER_SECRET_KEY", DATA_DIR / "secret_key"))
)
DEBUG = env.flag("SCALELEDGER_SERVER_DEBUG")
ALLOWED_HOSTS = env.words("SCALELEDGER_SERVER_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
RECEIPT_SECRET = cast(
    "str", SimpleLazyObject(lambda: env.secret_key("SCALELEDGER_SERVER_RECEIPT_SECRET", DATA_DIR / "receipt_secret"))
)
# Allows clients that prove no key: whoever knows (or guesses) a gateway's MAC address then obtains its token, and writes.
PLAIN_CLIENTS = env.flag("SCALELEDGER_SERVER_PLAIN_CLIENTS")
# Pages that only show (not the admin) without a login: for a screen on the wall of a closed network.
OPEN_PAGES = env.flag("SCALELEDGER_SERVER_OPEN_PAGES")
TOKEN_HOURS = env.number("SCALELEDGER_SERVER_TOKEN_HOURS", 24, low=1, high=24 * 365)
REGISTRATIONS_PER_MINUTE = env.number("SCALELEDGER_SERVER_REGISTRATIONS_PER_MINUTE", 60, low=1, high=100_000)
REQUESTS_PER_MINUTE = env.number("SCALELEDGER_SERVER_REQUESTS_PER_MINUTE", 6_000, low=60, high=10_000_000)
# Gateways speak every 30 s; after three missed times somebody should look.
LATE_S = env.number("SCALELEDGER_SERVER_LATE_S", 100, low=10, high=24 * 3600)

_mail = env.mail("SCALELEDGER_SERVER_EMAIL_URL")
_addresses = env.words("SCALELEDGER_SERVER_MANAGERS", []) if _mail else []
MANAGERS: list[Any] = _addresses if django.VERSION >= (6, 0) else [("", address) for address in _addresses]
SERVER_EMAIL = env.text("SCALELEDGER_SERVER_EMAIL_FROM", _addresses[0] if _addresses else "root@localhost")
EMAIL_SUBJECT_PREFIX = "[ScaleLedger] "
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": _mail or {}}}
elif _mail:
    EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = _mail["host"], _mail["port"], _mail["timeout"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["username"], _mail["password"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail["use_tls"], _mail["use_ssl"]

# A proxy in front speaks TLS, sets X-Forwarded-Proto and X-Forwarded-For, and removes what a client put there.
TLS_PROXY = env.flag("SCALELEDGER_SERVER_TLS_PROXY")
PROXY_ADDRESSES = env.words("SCALELEDGER_SERVER_PROXY_ADDRESSES", ["127.0.0.1", "::1"])
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TLS_PROXY else None
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS_PROXY
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if TLS_PROXY else 0
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # whether a site's other hosts use TLS is not ours to say
CSRF_TRUSTED_ORIGINS = env.words("SCALELEDGER_SERVER_TRUSTED_ORIGINS", [])
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_IDLE_S = 30 * 60 if TLS_PROXY else 0
SECOND_FACTOR = env.choice(
    "SCALELEDGER_SERVER_SECOND_FACTOR", "required" if TLS_PROXY else "optional", ("required", "optional")
)
ADMIN_NETWORKS = env.networks("SCALELEDGER_SERVER_ADMIN_NETWORKS")  # none: from everywhere
OTP_TOTP_ISSUER = "ScaleLedger"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "channels",
    "scaleledger_server.people",
    "scaleledger_server.devices",
    "scaleledger_server.market",
    "scaleledger_server.shifts",
    "scaleledger_server.plu",
    "scaleledger_server.labels",
    "scaleledger_server.weighing",
    "scaleledger_server.edges",
    "scaleledger_server.live",
]
MIDDLEWARE = [
    "scaleledger_server.errors.ContractErrors",
    "scaleledger_server.errors.ContentPolicy",
    "django.middleware.security.SecurityMiddleware",
    "scaleledger_server.people.door.AdminNetworks",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "scaleledger_server.people.door.IdleSessions",
    "django_otp.middleware.OTPMiddleware",
    "scaleledger_server.people.door.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "scaleledger_server.urls"
ASGI_APPLICATION = "scaleledger_server.asgi.application"
APPEND_SLASH = False  # a redirected POST would arrive empty; a path without its slash is simply not there

DATABASES = {"default": env.database(("SCALELEDGER_SERVER_DATABASE_URL", "DATABASE_URL"), DATA_DIR / "server.sqlite3")}
REDIS_URL = env.redis(("SCALELEDGER_SERVER_REDIS_URL", "REDIS_URL"))
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.BODY_BYTES_MAX

LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English"), ("tr", "Türkçe")]  # the phone page; the other pages speak English
LOCALE_PATHS = [Path(__file__).parent / "shifts/locale"]  # before the words of the packages
FORMAT_MODULE_PATH = "scaleledger_server.formats"
USE_TZ = True
TIME_ZONE = env.zone("SCALELEDGER_SERVER_TIME_ZONE", "UTC")

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # the installed packages are served as they are; nothing to collect
WHITENOISE_AUTOREFRESH = False
WHITENOISE_ALLOW_ALL_ORIGINS = False

UNFOLD = appearance.UNFOLD

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "scaleledger_server": {"level": "INFO"},
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
