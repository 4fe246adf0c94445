from django.urls import path

from billing import api, views

pages = [
    path("billing", views.billing, name="billing"),
    path("billing/sandbox", views.sandbox_funds, name="sandbox-funds"),
]
urlpatterns = [
    path("billing/balance", api.Balance.as_view(), name="balance"),
    path("billing/transactions", api.Transactions.as_view(), name="transactions"),
    path("billing/topup", api.TopUp.as_view(), name="topup"),
    path("subscription", api.MySubscription.as_view(), name="subscription"),
    path("subscription/plans", api.Plans.as_view(), name="plans"),
    path("addons", api.AddOns.as_view(), name="addons"),
]
