"""Every setting, from the environment (12-factor; `.env` is read if present).

Nobody else reads `os.environ`. Everything has a default that works on a laptop; what each means
is said in hontoni/options.py. `hontoni/checks.py` refuses what must not run.
"""

import hashlib
import os
import secrets
import tempfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from hontoni import framework, redis_settings
from hontoni.environment import Environment
from hontoni.framework import *  # noqa: F403
from hontoni.framework import BASE_DIR

env = Environment()
Environment.read_env(BASE_DIR / ".env")

# -- Where things live ---------------------------------------------------------------------------

HOST: str = env("HOST", default="127.0.0.1")
PORT: int = env.int("PORT", default=8000)
# How many web processes share the port; uvicorn reads it, too, where the supervisor does not run.
WEB_CONCURRENCY: int = env.int("WEB_CONCURRENCY", default=1)
# Where customers find us: every link we give away leads there, whatever Host a request named.
_HERE = "127.0.0.1" if HOST in ("0.0.0.0", "::") else f"[{HOST}]" if ":" in HOST else HOST
_TOLD: str = env("PUBLIC_URL", default=f"http://{_HERE}:{PORT}")
PUBLIC_URL = urlsplit(_TOLD.rstrip("/")).geturl()  # HTTPS:// is https://
PUBLIC_HOST = urlsplit(PUBLIC_URL).netloc
# What a browser must not be sent over a line that anybody can read.
SECURE = PUBLIC_URL.startswith("https://")
DATA_DIR = Path(env("DATA_DIR", default=str(BASE_DIR / "var"))).resolve()

# Usage events that Valkey might lose, on this machine's own disk (docs/stores.md).
SPOOL_DIR: str = env("SPOOL_DIR", default=str(DATA_DIR / "spool"))
SPOOL_KEEP_SECONDS: float = env.float("SPOOL_KEEP_SECONDS", default=3600)


def _embedded_socket(data_dir: Path) -> Path:
    """Where the embedded Valkey listens. A Unix socket's path is at most about 100 bytes long."""
    path = data_dir / "valkey.sock"
    if len(str(path).encode()) < 100:
        return path
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hontoni-{name}.sock"


EMBEDDED_DATABASE = not env("DATABASE_URL", default="")
EMBEDDED_REDIS = not env("REDIS_URL", default="")
EMBEDDED_SOCKET = _embedded_socket(DATA_DIR)


if EMBEDDED_DATABASE or EMBEDDED_REDIS:
    # Customers' data, and the secret: whatever process makes a file of it, nobody else reads it.
    os.umask(0o077)


def _own_secret(path: Path) -> str:
    """The secret of an embedded installation: random, made once, kept beside its data."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_urlsafe(64))
    except FileExistsError:
        pass
    return path.read_text()


def _name(url: str) -> str:
    """The host of a URL, as ALLOWED_HOSTS has it."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


# -- Django --------------------------------------------------------------------------------------

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env("SECRET_KEY", default="") or (
    _own_secret(DATA_DIR / "secret_key") if EMBEDDED_DATABASE else ""
)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS",
    default=["localhost", "127.0.0.1", "[::1]", HOST, _name(PUBLIC_URL)],
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])
# How many proxies of ours stand in front: that many entries of X-Forwarded-For are believed, by
# hontoni/addresses.py and by nobody else.
TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", default=0)

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=SECURE)
SECURE_HSTS_SECONDS: int = env.int("HSTS_SECONDS", default=365 * 24 * 3600 if SECURE else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
SECURE_SSL_REDIRECT = SECURE
SECURE_SSL_HOST = PUBLIC_HOST
SECURE_REDIRECT_EXEMPT = [r"^webhooks/"]  # they are signed, and nobody follows a redirect

# -- Database ------------------------------------------------------------------------------------

DATABASES = {
    "default": env.db_url_config(
        env("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'hontoni.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE, or a quarter of concurrent money transactions fail with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    # An end that vanished without a word is noticed while customers still wait.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": env.int("DATABASE_CONNECT_SECONDS", default=3),
        "keepalives_idle": 5,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": 5_000,
        "pool": {
            "min_size": 1,
            "max_size": env.int("DATABASE_POOL", default=16),
            "timeout": env.int("DATABASE_POOL_SECONDS", default=5),
        },
    } | DATABASES["default"].get("OPTIONS", {})

DATABASE_THREADS: int = env.int("DATABASE_THREADS", default=8)
DATABASE_PATIENCE_SECONDS: float = env.float("DATABASE_PATIENCE_SECONDS", default=1.5)
SNAPSHOT_SECONDS: float = env.float("SNAPSHOT_SECONDS", default=900)

# -- Redis: money and limits, broker, cache ------------------------------------------------------

REDIS_URL: str = env("REDIS_URL", default="") or f"unix://{EMBEDDED_SOCKET}"
REDIS_CLUSTER: bool = env.bool("REDIS_CLUSTER", default=False)
BROKER_URL: str = env("BROKER_URL", default="") or REDIS_URL
CACHE_URL: str = env("CACHE_URL", default="") or REDIS_URL
_REDIS = redis_settings.address("REDIS_URL", REDIS_URL, cluster=REDIS_CLUSTER)
_spread = {url: REDIS_CLUSTER and url == REDIS_URL for url in (BROKER_URL, CACHE_URL)}
CACHES = {
    "default": redis_settings.cache(
        redis_settings.address("CACHE_URL", CACHE_URL, cluster=_spread[CACHE_URL])
    )
}
SESSION_ENGINE = "accounts.sign_in.session_store"

BROKER = redis_settings.broker(BROKER_URL, cluster=_spread[BROKER_URL])
CELERY_BROKER_URL = BROKER.url if BROKER else BROKER_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{redis_settings.BROKER_KEY if BROKER else 'celery'}:",
    "visibility_timeout": 3600,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker that restarts meanwhile loses no task; and what is lost, tasks of beat's find again.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 6,
    "interval_start": 0.1,
    "interval_step": 0.2,
    "interval_max": 1,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# -- /api ----------------------------------------------------------------------------------------

ACCESS_TOKEN_LIFETIME = timedelta(minutes=env.int("ACCESS_TOKEN_MINUTES", default=30))
REFRESH_TOKEN_LIFETIME = timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=30))
# Keys are stored as HMAC-SHA-256 with this. Changing it invalidates every key.
KEY_PEPPER: str = env("KEY_PEPPER", default="") or SECRET_KEY

# Where GitHub publishes what it signs reports of leaked keys with.
GITHUB_SCANNING_KEYS_URL: str = env(
    "GITHUB_SCANNING_KEYS_URL",
    default="https://api.github.com/meta/public_keys/secret_scanning",
)

# -- Signing up and in on the web: django-allauth -------------------------------------------------

# WebAuthn wants https, which a laptop's own address cannot have.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE
MFA_TOTP_ISSUER = "Hontoni"
SIGN_ON_PRIVATE_NETWORKS: bool = env.bool("SIGN_ON_PRIVATE_NETWORKS", default=False)
WEBHOOK_PRIVATE_NETWORKS: bool = env.bool("WEBHOOK_PRIVATE_NETWORKS", default=False)
TELEGRAM_BOT_TOKEN: str = env("TELEGRAM_BOT_TOKEN", default="")
TELEGRAM_API_URL: str = env("TELEGRAM_API_URL", default="https://api.telegram.org")
DNS_SERVER: str = env("DNS_SERVER", default="")
GITHUB_CLIENT_ID: str = env("GITHUB_CLIENT_ID", default="")
GITHUB_CLIENT_SECRET: str = env("GITHUB_CLIENT_SECRET", default="")
GOOGLE_CLIENT_ID: str = env("GOOGLE_CLIENT_ID", default="")
GOOGLE_CLIENT_SECRET: str = env("GOOGLE_CLIENT_SECRET", default="")
# An address that the vendor has verified opens the account that has it; any other does not.
SOCIALACCOUNT_PROVIDERS = {
    name: {"APPS": [{"client_id": client_id, "secret": secret}], "EMAIL_AUTHENTICATION": True}
    for name, client_id, secret in (
        ("github", GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET),
        ("google", GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET),
    )
    if client_id and secret
}
INSTALLED_APPS = [
    *framework.INSTALLED_APPS,
    *(f"allauth.socialaccount.providers.{name}" for name in SOCIALACCOUNT_PROVIDERS),
]

# -- Websockets ----------------------------------------------------------------------------------

CHANNEL_LAYERS = {"default": redis_settings.layer(_REDIS)}

# -- Vendors -------------------------------------------------------------------------------------

OPENAI_API_KEY: str = env("OPENAI_API_KEY", default="")
OPENAI_BASE_URL: str = env("OPENAI_BASE_URL", default="https://api.openai.com/v1")
ANTHROPIC_API_KEY: str = env("ANTHROPIC_API_KEY", default="")
ANTHROPIC_BASE_URL: str = env("ANTHROPIC_BASE_URL", default="https://api.anthropic.com")
GEMINI_API_KEY: str = env("GEMINI_API_KEY", default="")
GEMINI_BASE_URL: str = env("GEMINI_BASE_URL", default="https://generativelanguage.googleapis.com")
# With no vendor key at all the built-in sandbox answers every model, visibly marked. Where all
# credentials are kept in the admin, it is to be switched off.
SANDBOX: bool = env.bool(
    "SANDBOX", default=not (OPENAI_API_KEY or ANTHROPIC_API_KEY or GEMINI_API_KEY)
)
# What the credentials kept in the admin, second factors and queued mails are sealed with: the
# first seals, all of them open.
CREDENTIAL_KEYS: list[str] = env.list("CREDENTIAL_KEYS", default=[SECRET_KEY])
UPSTREAM_CONNECT_SECONDS: float = env.float("UPSTREAM_CONNECT_SECONDS", default=10)
UPSTREAM_SILENCE_SECONDS: float = env.float("UPSTREAM_SILENCE_SECONDS", default=300)
UPSTREAM_TOTAL_SECONDS: float = env.float("UPSTREAM_TOTAL_SECONDS", default=3600)
# A client that leaves does not stop what it cannot see: the answer is heard to its end without it,
# so long, so far, and so many at once in a process; beyond that its usage is estimated.
DRAIN_SECONDS: float = env.float("DRAIN_SECONDS", default=300)
DRAIN_BYTES: int = env.int("DRAIN_BYTES", default=16 * 1024 * 1024)
DRAINS_AT_ONCE: int = env.int("DRAINS_AT_ONCE", default=256)
# Staff are told of what a vendor billed and nothing explains: above both, by day and model.
VENDOR_ALERT_DOLLARS: str = env("VENDOR_ALERT_DOLLARS", default="1")
VENDOR_ALERT_PERCENT: float = env.float("VENDOR_ALERT_PERCENT", default=2)

# -- Mail ----------------------------------------------------------------------------------------

# smtp+tls://user:password@host:587. The sandbox prints its mails; elsewhere a log with links that
# open accounts would be worse than no mail.
EMAIL_URL: str = env("EMAIL_URL", default="")
vars().update(env.email_url_config(EMAIL_URL or "consolemail://"))
if not (EMAIL_URL or SANDBOX):
    EMAIL_BACKEND = "hontoni.unsent.EmailBackend"
EMAIL_TIMEOUT: int = env.int("EMAIL_TIMEOUT", default=10)
DEFAULT_FROM_EMAIL: str = env("DEFAULT_FROM_EMAIL", default="Hontoni <no-reply@localhost>")

# -- Our own limits ------------------------------------------------------------------------------

# What clients of Responses assume is kept (gateway/state), and for how long.
STATE_HOURS: float = env.float("STATE_HOURS", default=24)
STATE_ACCOUNT_BYTES: int = env.int("STATE_ACCOUNT_BYTES", default=16 * 1024 * 1024)

# Files and batches (gateway/batches).
FILES_DAYS: float = env.float("FILES_DAYS", default=30)
FILES_ACCOUNT_BYTES: int = env.int("FILES_ACCOUNT_BYTES", default=256 * 1024 * 1024)
BATCH_REQUESTS: int = env.int("BATCH_REQUESTS", default=10_000)
BATCHES_PER_ACCOUNT: int = env.int("BATCHES_PER_ACCOUNT", default=20)
BATCH_CONCURRENCY: int = env.int("BATCH_CONCURRENCY", default=8)
BATCH_ACCOUNT_CONCURRENCY: int = env.int("BATCH_ACCOUNT_CONCURRENCY", default=4)

MAX_BODY_BYTES: int = env.int("MAX_BODY_BYTES", default=32 * 1024 * 1024)
MAX_BODIES_BYTES: int = env.int("MAX_BODIES_BYTES", default=256 * 1024 * 1024)
PREPARERS: int = env.int("PREPARERS", default=1)
MAX_FETCHED_BYTES: int = env.int("MAX_FETCHED_BYTES", default=32 * 1024 * 1024)
# What a client may do before anybody knows who it is: hontoni/connections.py.
MAX_CONNECTIONS: int = env.int("MAX_CONNECTIONS", default=5000)
SOCKETS_PER_ACCOUNT: int = env.int("SOCKETS_PER_ACCOUNT", default=64)
SOCKET_IDLE_SECONDS: float = env.float("SOCKET_IDLE_SECONDS", default=900)
MAX_CONNECTIONS_PER_ADDRESS: int = env.int("MAX_CONNECTIONS_PER_ADDRESS", default=1000)
MAX_HEADER_BYTES: int = env.int("MAX_HEADER_BYTES", default=32 * 1024)
MAX_HEADERS: int = env.int("MAX_HEADERS", default=100)
HEADER_SECONDS: int = env.int("HEADER_SECONDS", default=10)
BODY_SECONDS: int = env.int("BODY_SECONDS", default=10)
BODY_BYTES_PER_SECOND: int = env.int("BODY_BYTES_PER_SECOND", default=1024)
ANSWER_SECONDS: int = env.int("ANSWER_SECONDS", default=120)
CONCURRENCY_WAIT_SECONDS: float = env.float("CONCURRENCY_WAIT_SECONDS", default=10)
# A request whose process died is settled and its slot freed this long after its last heartbeat.
LEASE_SECONDS: int = env.int("LEASE_SECONDS", default=45)
# Dollars an account is given away in a UTC day by the fair-bill policy: what the vendor failed at,
# an empty answer, text behind a stop sequence. Beyond it the vendor's numbers are charged.
FAIR_BILL_DAILY: str = env("FAIR_BILL_DAILY", default="1")
# So many bills of an account in 24 hours that cost more than was held, or that nobody can believe,
# freeze it. 0: never.
FREEZE_AFTER_STRANGE_BILLS: int = env.int("FREEZE_AFTER_STRANGE_BILLS", default=3)
SUPPORT_CREDIT_LIMIT: str = env("SUPPORT_CREDIT_LIMIT", default="25")
SIGNUP_CREDIT: str = env("SIGNUP_CREDIT", default="5" if SANDBOX else "0")
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# -- Money from cards ----------------------------------------------------------------------------

STRIPE_SECRET_KEY: str = env("STRIPE_SECRET_KEY", default="")
STRIPE_PUBLISHABLE_KEY: str = env("STRIPE_PUBLISHABLE_KEY", default="")
STRIPE_WEBHOOK_SECRET: str = env("STRIPE_WEBHOOK_SECRET", default="")
STRIPE_API_BASE: str = env("STRIPE_API_BASE", default="https://api.stripe.com")
STRIPE_TIMEOUT_SECONDS: float = env.float("STRIPE_TIMEOUT_SECONDS", default=10)
# Stripe Tax on top of what is bought. Only Checkout asks for the address it needs.
STRIPE_TAX: bool = env.bool("STRIPE_TAX", default=False)
TOPUP_MIN: str = env("TOPUP_MIN", default="5")
TOPUP_MAX: str = env("TOPUP_MAX", default="5000")
# How long before it binds a renewal a higher price of a plan or an add-on is announced.
PRICE_NOTICE_DAYS: int = env.int("PRICE_NOTICE_DAYS", default=30)
CATALOGUE_SYNC: bool = env.bool("CATALOGUE_SYNC", default=False)
CATALOGUE_MIRROR: str = env("CATALOGUE_MIRROR", default="")
PROBE_DAILY_DOLLARS: str = env("PROBE_DAILY_DOLLARS", default="0")
PROBE_SECONDS: int = env.int("PROBE_SECONDS", default=300)
MARGIN_ALARM_DOLLARS: str = env("MARGIN_ALARM_DOLLARS", default="1")
MODEL_PRICE_NOTICE_DAYS: int = env.int("MODEL_PRICE_NOTICE_DAYS", default=14)
# dj-stripe keeps a copy of Stripe's objects for staff to look at; nothing of ours depends on it.
STRIPE_MIRROR: bool = env.bool("STRIPE_MIRROR", default=True)
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
STRIPE_API_VERSION = "2026-08-26.dahlia"  # what we read is what we tested
# `make run` without a Stripe key starts the simulator of sandbox/stripe on this port.
STRIPE_SIMULATOR_PORT: int = env.int("STRIPE_SIMULATOR_PORT", default=0)
STRIPE_SIMULATED = bool(SANDBOX and STRIPE_SIMULATOR_PORT and not STRIPE_SECRET_KEY)
if STRIPE_SIMULATED:
    STRIPE_SECRET_KEY = "sk_test_" + _own_secret(DATA_DIR / "stripe_key")
    STRIPE_PUBLISHABLE_KEY = "pk_test_" + _own_secret(DATA_DIR / "stripe_publishable_key")
    STRIPE_WEBHOOK_SECRET = "whsec_" + _own_secret(DATA_DIR / "stripe_webhook_secret")
    STRIPE_API_BASE = f"http://127.0.0.1:{STRIPE_SIMULATOR_PORT}"
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, "127.0.0.1"]  # its webhooks come from here
STRIPE_LIVE_MODE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))

# -- Money from Vietnam --------------------------------------------------------------------------

from hontoni.vietnam_settings import *  # noqa: E402, F403

# -- Who sells: printed on invoices, and frozen there --------------------------------------------

SELLER_NAME: str = env("SELLER_NAME", default="Hontoni")
SELLER_ADDRESS: str = env("SELLER_ADDRESS", default="")  # lines are separated by "; "
SELLER_TAX_ID: str = env("SELLER_TAX_ID", default="")
SELLER_EMAIL: str = env("SELLER_EMAIL", default="")
SECURITY_CONTACT: list[str] = env.list("SECURITY_CONTACT", default=[])
SELLER_COUNTRY: str = env("SELLER_COUNTRY", default="")  # two letters
# Percent of tax that our prices contain, and what it is called; billing/invoices/taxes.py.
SELLER_TAX_RATE: str = env("SELLER_TAX_RATE", default="0")
SELLER_TAX_NAME: str = env("SELLER_TAX_NAME", default="VAT")

# -- Stopping: hontoni/stopping.py ----------------------------------------------------------------

STOP_NOTICE_SECONDS: float = env.float(
    "STOP_NOTICE_SECONDS", default=0 if EMBEDDED_DATABASE else 5
)
STOP_STREAM_SECONDS: float = env.float("STOP_STREAM_SECONDS", default=600)

# -- Backups and upgrades ------------------------------------------------------------------------

BACKUP_URL: str = env("BACKUP_URL", default=str(DATA_DIR / "backups"))
# Whoever restores needs it, and the other secrets, too: they belong elsewhere than the backups.
BACKUP_KEY: str = env("BACKUP_KEY", default="") or SECRET_KEY
BACKUP_KEEP: int = env.int("BACKUP_KEEP", default=14)
BACKUP_BEFORE_MIGRATIONS: bool = env.bool(
    "BACKUP_BEFORE_MIGRATIONS", default=EMBEDDED_DATABASE or bool(env("BACKUP_URL", default=""))
)
RETENTION_MONTHS: int = env.int("RETENTION_MONTHS", default=13)
ARCHIVE_URL: str = env("ARCHIVE_URL", default=str(DATA_DIR / "archive"))
# Less than Postgres's deadlock_timeout, so that of traffic and a migration the latter gives way.
MIGRATION_LOCK_SECONDS: float = env.float("MIGRATION_LOCK_SECONDS", default=0.7)

# -- Metrics and traces --------------------------------------------------------------------------

METRICS_TOKEN: str = env("METRICS_TOKEN", default="")
METRICS: bool = env.bool("METRICS", default=bool(METRICS_TOKEN))
# What ends keeps what it counted here, so that a restart takes nothing from a counter.
METRICS_DIR = Path(env("METRICS_DIR", default=str(DATA_DIR / "metrics")))

OTLP_ENDPOINT: str = env("OTLP_ENDPOINT", default="")
TRACE_SHARE: float = env.float("TRACE_SHARE", default=1)

# -- Logging -------------------------------------------------------------------------------------

LOG_LEVEL: str = env("LOG_LEVEL", default="INFO")
LOG_FORMAT: str = env("LOG_FORMAT", default="text")
LOG_REPEAT_SECONDS: float = env.float("LOG_REPEAT_SECONDS", default=10)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "hontoni.logs.Text",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "hontoni.logs.Json"},
    },
    "handlers": {"console": {"class": "hontoni.logs.Console", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Its own handler would write text past us.
        "uvicorn": {"handlers": [], "propagate": True, "level": "WARNING"},
        # httpx writes addresses, and some of those are secrets.
        **dict.fromkeys(
            ("uvicorn.access", "aiohttp.access", "stripe", "httpx", "mcp"), {"level": "WARNING"}
        ),
    },
}
