from django.urls import path, re_path

from billing import (
    api,
    invoice_api,
    invoice_views,
    statement_api,
    statement_views,
    subscription_api,
    subscription_views,
    views,
)
from billing.mails import api as mails
from billing.mails import views as mail_views
from billing.payments import views as payments
from billing.rewards import api as rewards
from billing.rewards import views as reward_views

pages = [
    path("billing", views.billing, name="billing"),
    path("billing/sandbox", views.sandbox_funds, name="sandbox-funds"),
    path("billing/topup", payments.top_up, name="billing-topup"),
    path("billing/topup/done", payments.topup_done, name="topup-done"),
    path("billing/plan/done", payments.plan_done, name="plan-done"),
    path("billing/cards", payments.cards, name="billing-cards"),
    path("billing/cards/<str:id>/remove", payments.remove_card, name="billing-remove-card"),
    path("billing/cards/<str:id>/default", payments.default_card, name="billing-default-card"),
    path("billing/portal", payments.portal, name="billing-to-portal"),
    path("billing/plans", subscription_views.plans, name="billing-plans"),
    path("billing/plans/change", subscription_views.change, name="billing-change"),
    path("billing/plans/cancel", subscription_views.cancel, name="billing-cancel"),
    path("billing/plans/resume", subscription_views.resume, name="billing-resume"),
    path("billing/plans/pay-by", subscription_views.pay_by, name="billing-pay-by"),
    path(
        "billing/add-ons/<slug:slug>/end", subscription_views.end_add_on, name="billing-end-add-on"
    ),
    path("billing/invoices", invoice_views.invoices, name="billing-invoices"),
    path("billing/invoices/<str:invoice_id>.pdf", invoice_views.pdf, name="billing-invoice-pdf"),
    path("billing/invoices/<str:invoice_id>", invoice_views.invoice, name="billing-invoice"),
    path("billing/statements", statement_views.statements, name="billing-statements"),
    re_path(
        r"^billing/statements/(?P<month>\d{4}-\d\d)\.(?P<ending>pdf|csv)\Z",
        statement_views.file,
        name="billing-statement-file",
    ),
    path("billing/statements/<str:month>", statement_views.statement, name="billing-statement"),
    path("billing/promo", reward_views.promo, name="billing-promo"),
    path("billing/referrals", reward_views.invite, name="billing-referrals"),
    path("billing/mails", mail_views.preferences, name="billing-mails"),
    path("r/<str:code>", reward_views.invited, name="invited"),
]
urlpatterns = [
    path("billing/balance", api.Balance.as_view(), name="balance"),
    path("billing/transactions", api.Transactions.as_view(), name="transactions"),
    path("billing/topup", api.TopUp.as_view(), name="topup"),
    path("billing/promo-code", rewards.Promo.as_view(), name="promo-code"),
    path("billing/signup-credit", rewards.SignupCredit.as_view(), name="signup-credit"),
    path("billing/referral", rewards.MyReferrals.as_view(), name="referral"),
    path("auth/me/notifications", mails.Notifications.as_view(), name="notifications"),
    path("billing/details", invoice_api.Details.as_view(), name="billing-details"),
    path("billing/invoices", invoice_api.Invoices.as_view(), name="invoices"),
    path(
        "billing/invoices/<str:invoice_id>/pdf",
        invoice_api.InvoicePdf.as_view(),
        name="invoice-pdf",
    ),
    path("billing/statements", statement_api.Statements.as_view(), name="statements"),
    path(
        "billing/statements/<str:month>.pdf",
        statement_api.StatementPdf.as_view(),
        name="statement-pdf",
    ),
    path(
        "billing/statements/<str:month>.csv",
        statement_api.StatementCsv.as_view(),
        name="statement-csv",
    ),
    path("billing/statements/<str:month>", statement_api.OneStatement.as_view(), name="statement"),
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
