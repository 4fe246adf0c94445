from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts import api, confirming, views
from accounts.leaks import api as leaks_api
from accounts.leaks import views as leaks

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("keys", api.Keys, basename="key")

pages = [
    path("account", views.profile, name="account"),
    # Ahead of allauth's, whose link it is.
    path("account/confirm-email/<str:key>/", confirming.Confirm.as_view()),
    path("account/privacy", views.change_privacy, name="account-privacy"),
    path("account/delete", views.delete, name="account-delete"),
    path("leaked-key", leaks.report, name="leaked-key"),
    path("keys", views.keys, name="keys"),
    path("keys/<int:pk>", views.key, name="key"),
    path("keys/<int:pk>/limits", views.limits, name="key-limits"),
    path("keys/<int:pk>/rotate", views.rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke", views.revoke, name="key-revoke"),
]
urlpatterns = [
    path("auth/register", api.Register.as_view(), name="register"),
    path("auth/login", api.Login.as_view(), name="login"),
    path("auth/refresh", api.RefreshSession.as_view(), name="refresh"),
    path("auth/logout", api.EndSession.as_view(), name="logout"),
    path("auth/me", api.Me.as_view(), name="me"),
    path("auth/me/privacy", api.Privacy.as_view(), name="privacy"),
    path("leaks/github", leaks_api.GitHub.as_view(), name="leaks-github"),
    *router.urls,
]
