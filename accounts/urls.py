from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import account_api
from accounts.leaks import api as leaks_api
from accounts.leaks import views as leaks
from accounts.pages import account_views, confirming, legal_views, token_views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("keys", account_api.Keys, basename="api-key")
router.register("tokens", account_api.Tokens, basename="api-token")

pages = [
    path("account", account_views.profile, name="account"),
    # Ahead of allauth's, whose link it is.
    path("account/confirm-email/<str:key>/", confirming.Confirm.as_view()),
    path("account/privacy", account_views.change_privacy, name="account-privacy"),
    path("account/delete", account_views.delete, name="account-delete"),
    path("leaked-key", leaks.report, name="leaked-key"),
    path("terms", legal_views.terms, name="legal-terms"),
    path("privacy", legal_views.privacy, name="legal-privacy"),
    path("refunds", legal_views.refunds, name="legal-refunds"),
    path("contact", legal_views.contact, name="legal-contact"),
    path("account/agree", legal_views.agree, name="account-agree"),
    path("account/tokens", token_views.tokens, name="tokens"),
    path("account/tokens/<int:pk>/revoke", token_views.revoke, name="token-revoke"),
    path("keys", account_views.keys, name="keys"),
    path("keys/<int:pk>", account_views.key, name="key"),
    path("keys/<int:pk>/limits", account_views.limits, name="key-limits"),
    path("keys/<int:pk>/rotate", account_views.rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke", account_views.revoke, name="key-revoke"),
]
urlpatterns = [
    path("auth/register", account_api.Register.as_view(), name="register"),
    path("auth/login", account_api.Login.as_view(), name="login"),
    path("auth/refresh", account_api.RefreshSession.as_view(), name="refresh"),
    path("auth/logout", account_api.EndSession.as_view(), name="logout"),
    path("auth/me", account_api.Me.as_view(), name="me"),
    path("auth/me/privacy", account_api.Privacy.as_view(), name="privacy"),
    path("leaks/github", leaks_api.GitHub.as_view(), name="leaks-github"),
    *router.urls,
]
