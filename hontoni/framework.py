"""What of Django and of the packages on it is the same in every installation: nothing here is read
from the environment. hontoni/settings.py takes all of it over.
"""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# -- Django --------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "cockpit.site.Theme",  # unfold, with what every page of ours has
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "djstripe",
    "hontoni",
    "ratelimits",
    "accounts",
    "billing",
    "billing.payments",
    "gateway",
    "operations",
    "cockpit",
]
MIDDLEWARE = [
    "hontoni.drf.RequestIds",
    "hontoni.origins.Public",
    "django.middleware.security.SecurityMiddleware",
    "hontoni.static.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "hontoni.pages.TimeZone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "accounts.sign_in.viewing.Viewing",
    "accounts.teams.acting.OnPages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "hontoni.origins.ContentPolicy",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "hontoni.pages.Refusals",
    "billing.rewards.browsers.Browsers",
]
ROOT_URLCONF = "hontoni.urls"
ASGI_APPLICATION = "hontoni.asgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "hontoni.pages.everywhere",
            ],
            "builtins": ["hontoni.templatetags.icons", "accounts.pages.form_tags"],
            "libraries": {
                "accounts": "accounts.pages.account_tags",
                "announcements": "billing.pages.announcement_tags",
                "dong_prices": "billing.pages.dong_tags",
            },
        },
    }
]
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_HASHERS = ["accounts.sign_in.hashing.Argon2", "accounts.sign_in.hashing.PBKDF2"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("vi", "Tiếng Việt")]
LOCALE_PATHS = [BASE_DIR / "locale" / room for room in ("", "allauth", "admin")]
FORMAT_MODULE_PATH = ["hontoni.formats"]
USE_THOUSAND_SEPARATOR = True
TIME_ZONE = "UTC"  # of visitors whose browser did not tell theirs
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # serves files where they are: there is no collectstatic
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
    },
}
# The admin's theme is written in Alpine, which evaluates its attributes, and in inline styles.
ADMIN_CONTENT_SECURITY_POLICY = {
    **CONTENT_SECURITY_POLICY["DIRECTIVES"],
    "form-action": ["'self'"],  # customers' forms lead to Stripe, and to who signs them in
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}
SESSION_COOKIE_AGE = 14 * 24 * 3600
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
UNFOLD = {
    "SITE_TITLE": "Hontoni",
    "SITE_HEADER": "Hontoni",
    "SITE_ICON": "hontoni.pages.icon",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "hontoni.pages.icon"},
    ],
    "STYLES": ["hontoni.pages.admin_style"],
    "SITE_SUBHEADER": "hontoni.pages.times",
    "ENVIRONMENT": "hontoni.pages.label",
    "COLORS": {
        "primary": {  # the site's accent (static/css/base.css), from pale to dark
            "50": "#eefaf8",
            "100": "#d5f2ee",
            "200": "#aee5dd",
            "300": "#7cd3c8",
            "400": "#45b8ab",
            "500": "#2a9a8f",
            "600": "#17635d",
            "700": "#14534e",
            "800": "#124340",
            "900": "#0f3835",
            "950": "#072220",
        }
    },
    "ACCOUNT": {
        "navigation": [{"title": "cockpit.preferences.title", "link": "cockpit.preferences.link"}]
    },
    "DASHBOARD_CALLBACK": "cockpit.home.show",
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,  # the sidebar's last entry has them (cockpit/sidebar.py)
        "navigation": "cockpit.sidebar.navigation",
    },
    "COMMAND": {"search_callback": "cockpit.finding.search"},
}

# -- /api ----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.teams.acting.OnApi"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["hontoni.drf.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "hontoni.drf.KeysetPagination",
    "EXCEPTION_HANDLER": "hontoni.drf.answer_error",
    "NUM_PROXIES": 0,  # REMOTE_ADDR is true already: hontoni/addresses.py
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hontoni API",
    "DESCRIPTION": "Accounts, keys, usage and billing. The AI endpoints are under /v1.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "KeyScopeEnum": "accounts.keys.scopes.OF_KEYS",
        "TokenScopeEnum": "accounts.keys.scopes.OF_TOKENS",
        "RoleEnum": "accounts.team_models.Role",
        "GivenRoleEnum": "accounts.api.team_serializers.GIVEN",
        "KindEnum": "billing.channels.models.Channel.Kind",
        "StateEnum": "billing.payments.models.TopUp.State",
        "StatusEnum": "accounts.api.account_serializers.STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# -- Signing up and in on the web: django-allauth -------------------------------------------------

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "home"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "accounts.sign_in.mail_adapter.Adapter"
SOCIALACCOUNT_ADAPTER = "accounts.sign_in.vouching.Adapter"
ACCOUNT_FORMS = {
    "add_email": "accounts.pages.account_forms.ChangeAddressForm",
    "reset_password": "accounts.pages.account_forms.ResetForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"  # the first steps on the overview remind of it
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ALLAUTH_TRUSTED_PROXY_COUNT = 0  # likewise
MFA_ADAPTER = "accounts.sign_in.factors.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
