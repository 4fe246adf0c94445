from django.urls import path

from billing import api, invoice_api, subscription_api, views
from billing.mails import api as mails
from billing.rewards import api as rewards

pages = [
    path("billing", views.billing, name="billing"),
    path("billing/sandbox", views.sandbox_funds, name="sandbox-funds"),
]
urlpatterns = [
    path("billing/balance", api.Balance.as_view(), name="balance"),
    path("billing/transactions", api.Transactions.as_view(), name="transactions"),
    path("billing/topup", api.TopUp.as_view(), name="topup"),
    path("billing/promo-code", rewards.Promo.as_view(), name="promo-code"),
    path("billing/referral", rewards.MyReferrals.as_view(), name="referral"),
    path("auth/me/notifications", mails.Notifications.as_view(), name="notifications"),
    path("billing/invoices", invoice_api.Invoices.as_view(), name="invoices"),
    path(
        "billing/invoices/<str:invoice_id>/pdf",
        invoice_api.InvoicePdf.as_view(),
        name="invoice-pdf",
    ),
    path("subscription", subscription_api.MySubscription.as_view(), name="subscription"),
    path("subscription/plans", subscription_api.Plans.as_view(), name="plans"),
    path("subscription/preview", subscription_api.PreviewPlan.as_view(), name="preview-plan"),
    path("subscription/upgrade", subscription_api.Upgrade.as_view(), name="upgrade"),
    path("subscription/downgrade", subscription_api.Downgrade.as_view(), name="downgrade"),
    path("subscription/cancel", subscription_api.Cancel.as_view(), name="cancel"),
    path("subscription/resume", subscription_api.Resume.as_view(), name="resume"),
    path(
        "subscription/payment-method",
        subscription_api.PaymentMethod.as_view(),
        name="subscription-payment-method",
    ),
    path("addons", subscription_api.AddOns.as_view(), name="addons"),
    path("addons/preview", subscription_api.PreviewAddOn.as_view(), name="preview-addon"),
    path("addons/<slug:slug>", subscription_api.MyAddOn.as_view(), name="addon"),
]
