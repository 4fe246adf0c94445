"""The control plane's routes. /v1, /healthz and /readyz never reach Django: see asgi.py."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts import urls as accounts
from accounts.sign_in import factors
from billing import urls as billing
from billing.api import bank_webhooks, invoice_api, stripe_webhook
from cockpit import urls as cockpit
from gateway import urls as gateway
from hontoni import disclosure, pages

factors.guard(admin.site)

handler400 = "hontoni.drf.bad_request"
handler404 = "hontoni.drf.not_found"
handler500 = "hontoni.drf.server_error"
urlpatterns = [
    path("", include(accounts.pages)),
    path("", include(billing.pages)),
    path("", include(gateway.pages)),
    path("account/", include("allauth.urls")),
    # Of what has no place to name one: a PDF, an answer of the API.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg")),
    path(".well-known/security.txt", disclosure.security, name="security-txt"),
    path("preferences", pages.preferences, name="preferences"),
    path("webhooks/sepay", bank_webhooks.from_sepay, name="sepay-webhook"),
    path("webhooks/payos", bank_webhooks.from_payos, name="payos-webhook"),
    path("webhooks/stripe", stripe_webhook.stripe, name="stripe-webhook"),
    path("admin/", include(cockpit)),
    path("admin/", admin.site.urls),
    path("invoices/<str:token>", invoice_api.file, name="invoice-file"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/", include(accounts)),
    path("scim/v2/", include(accounts.scim)),
    path("api/", include(billing)),
    path("api/", include(gateway)),
]
