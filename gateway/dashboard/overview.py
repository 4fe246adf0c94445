"""The overview's live part: rendered with the page, and again by the socket when news comes."""

from typing import Any

from allauth.account.models import EmailAddress
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.books import balances
from gateway.dashboard import gauges, logged
from gateway.usage import rollups
from gateway.usage.corrections.models import corrected
from gateway.usage.models import UsageEvent
from hontoni.errors import Unavailable

LATEST = 10
_FRAGMENTS = ("_live", "_latest")


def render_live(user: User, *, push: bool = False) -> str:
    """The fragments. Pushed over the socket, each says which element of the page it replaces."""
    shown = {**figures(user), "push": push}
    return "".join(render_to_string(f"gateway/{name}.html", shown) for name in _FRAGMENTS)


def figures(user: User) -> dict[str, Any]:
    """Everything the overview tells about an account this very moment."""
    now = timezone.now()
    balance = balances.live(user.pk)
    mine = UsageEvent.objects.filter(user=user).select_related("api_key")
    latest = logged.with_routes(corrected(mine)[:LATEST])
    key = _watched(user)
    return {
        "user": user,
        "balance": balance,
        "glance": rollups.glance(user.pk, now),
        "top": rollups.top_models(user.pk, now),
        "latest": latest,
        "gauged": key,
        "gauges": _gauges(key),
        "steps": _steps(user, key, balance.available, bool(latest)),
    }


def _watched(user: User) -> ApiKey | None:
    """The key whose limits are shown: the active one used last."""
    active = ApiKey.objects.active(timezone.now()).filter(user=user).select_related("user")
    return active.order_by("-last_used_at", "-pk").exclude(last_used_at=None).first() or (
        active.order_by("-pk").first()
    )


def _gauges(key: ApiKey | None) -> list[gauges.Gauge]:
    if key is None:
        return []
    try:
        return gauges.of_key(key)
    except Unavailable:
        return []


def _steps(user: User, key: ApiKey | None, available: int, used: bool) -> dict[str, bool] | None:
    """The first steps, and which are done; None once all are."""
    steps = {
        "verify": EmailAddress.objects.filter(user=user, verified=True).exists(),
        "fund": available > 0 or used,
        "key": key is not None,
        "request": used,
    }
    return None if all(steps.values()) else steps
