from django.urls import path

from billing.payments import api

urlpatterns = [
    path("topup/checkout", api.Checkout.as_view(), name="topup-checkout"),
    path("topup/intent", api.Intent.as_view(), name="topup-intent"),
    path("topups", api.TopUps.as_view(), name="topups"),
    path("topups/<uuid:pk>", api.OneTopUp.as_view(), name="one-topup"),
    path("payment-methods", api.Cards.as_view(), name="payment-methods"),
    path("payment-methods/<str:pk>", api.OneCard.as_view(), name="payment-method"),
    path(
        "payment-methods/<str:pk>/default",
        api.DefaultCard.as_view(),
        name="default-payment-method",
    ),
    path("portal", api.Portal.as_view(), name="billing-portal"),
    path("auto-topup", api.Automatic.as_view(), name="auto-topup"),
]
