"""What must not run, said before it runs. `manage.py check` and every start go through here."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register
def deployment(**_: Any) -> Sequence[CheckMessage]:
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < 32 or "insecure" in settings.SECRET_KEY:
        found.append(
            Error(
                "SECRET_KEY is missing, short or a placeholder.",
                hint="Set SECRET_KEY to at least 32 random characters.",
                id="hontoni.E001",
            )
        )
    live = settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
    if live and settings.SANDBOX:
        found.append(
            Error(
                "Sandbox mode beside live Stripe keys: test funds would buy real money's worth.",
                hint="Set a vendor key (OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY).",
                id="hontoni.E002",
            )
        )
    if live and settings.DEBUG:
        found.append(Error("DEBUG beside live Stripe keys.", id="hontoni.E003"))
    if not timedelta(minutes=10) <= settings.ACCESS_TOKEN_LIFETIME <= timedelta(hours=1):
        found.append(Error("ACCESS_TOKEN_MINUTES must be from 10 to 60.", id="hontoni.E004"))
    if settings.REFRESH_TOKEN_LIFETIME < settings.ACCESS_TOKEN_LIFETIME:
        # A session is looked up by its refresh tokens, which are forgotten when they expire.
        found.append(Error("REFRESH_TOKEN_DAYS must be at least 1.", id="hontoni.E005"))
    return found
