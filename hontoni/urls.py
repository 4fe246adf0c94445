"""The control plane's routes. /v1, /healthz and /readyz never reach Django: see asgi.py."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from billing import invoice_api
from billing.payments import views as payments
from billing.payments import webhooks
from gateway import views

handler400 = "hontoni.drf.bad_request"
handler404 = "hontoni.drf.not_found"
handler500 = "hontoni.drf.server_error"
urlpatterns = [
    path("", views.home, name="home"),
    path("billing/topup/done", payments.topup_done, name="topup-done"),
    path("webhooks/stripe", webhooks.stripe, name="stripe-webhook"),
    path("admin/", admin.site.urls),
    path("invoices/<str:token>", invoice_api.file, name="invoice-file"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/", include("accounts.urls")),
    path("api/", include("billing.urls")),
    path("api/billing/", include("billing.payments.urls")),
    path("api/", include("gateway.urls")),
]
