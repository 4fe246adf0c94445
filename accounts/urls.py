from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts import api

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("keys", api.Keys, basename="key")

urlpatterns = [
    path("auth/register", api.Register.as_view(), name="register"),
    path("auth/login", api.Login.as_view(), name="login"),
    path("auth/refresh", api.RefreshSession.as_view(), name="refresh"),
    path("auth/logout", api.EndSession.as_view(), name="logout"),
    path("auth/me", api.Me.as_view(), name="me"),
    *router.urls,
]
