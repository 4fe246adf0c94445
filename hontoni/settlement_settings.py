"""The settings of `manage.py settle`: the product's, with no more apps than the books need.

Pages, API, mail, Stripe and the admin's own forms are most of the product's memory, and none of
them is ever asked for here. The same models are loaded, so the same rows are written.
"""

from hontoni.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # whose log is audited
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "ratelimits",
    "accounts.apps.Books",
    "billing.apps.Books",
    "billing.payments",
    "gateway.apps.Books",
]
