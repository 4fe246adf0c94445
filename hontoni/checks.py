"""What must not run, said before it runs. `manage.py check` and every start go through here."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from hontoni import redis_address
from hontoni.money import nanos
from hontoni.vietnam_checks import vietnam

STRIPE_MOST = nanos("999999.99")  # docs.stripe.com/currencies#minimum-and-maximum-charge-amounts


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
    if not timedelta(minutes=10) <= settings.ACCESS_TOKEN_LIFETIME <= timedelta(hours=1):
        found.append(Error("ACCESS_TOKEN_MINUTES must be from 10 to 60.", id="hontoni.E004"))
    if settings.REFRESH_TOKEN_LIFETIME < settings.ACCESS_TOKEN_LIFETIME:
        # A session is looked up by its refresh tokens, which are forgotten when they expire.
        found.append(Error("REFRESH_TOKEN_DAYS must be at least 1.", id="hontoni.E005"))
    if not settings.CREDENTIAL_KEYS or min(map(len, settings.CREDENTIAL_KEYS)) < 32:
        found.append(
            Error(
                "CREDENTIAL_KEYS has a short key: vendors' credentials are sealed with it.",
                hint="Each is at least 32 random characters; separate them by commas.",
                id="hontoni.E010",
            )
        )
    return found + _seller() + _payments() + vietnam() + redis_servers()


_MODES = {"server": "standalone", "cluster": "cluster", "sentinel": "sentinel"}
_SHOULD_BE = {
    "standalone": "one server: write redis://…",
    "cluster": "a node of a Redis Cluster: write redis+cluster://host:port,host:port",
    "sentinel": "a Sentinel: write redis+sentinel://host:port,host:port/service",
}


def redis_servers() -> list[CheckMessage]:
    """That the servers are what their addresses say. Of one that is away nothing is known: what
    starts waits for it."""
    if settings.EMBEDDED_REDIS:
        return []
    found: list[CheckMessage] = []
    urls = {getattr(settings, name): name for name in ("BROKER_URL", "CACHE_URL", "REDIS_URL")}
    for url, name in urls.items():
        try:
            there = redis_address.read(url, cluster=settings.REDIS_CLUSTER and name == "REDIS_URL")
        except redis_address.Unfit:
            continue  # a broker that only Celery knows
        mode = redis_address.mode(there, seconds=1.0)
        if mode in _SHOULD_BE and mode != _MODES[there.kind]:
            found.append(Error(f"{name} leads to {_SHOULD_BE[mode]}.", id="hontoni.E030"))
    return found


def _seller() -> list[CheckMessage]:
    """What is printed on invoices, and never mended there."""
    found: list[CheckMessage] = []
    try:
        rate = Decimal(settings.SELLER_TAX_RATE)
        sane = rate.is_finite() and 0 <= rate < 100 and rate == round(rate, 4)
    except InvalidOperation:
        sane = False
    if not sane:
        found.append(Error("SELLER_TAX_RATE: a percentage, such as 10.", id="hontoni.E020"))
    elif rate and settings.STRIPE_TAX:
        found.append(
            Error(
                "SELLER_TAX_RATE beside STRIPE_TAX: a payment would be taxed twice.",
                hint="STRIPE_TAX adds tax on top; SELLER_TAX_RATE is contained in the price.",
                id="hontoni.E021",
            )
        )
    country = settings.SELLER_COUNTRY
    if country and not (len(country) == 2 and country.isascii() and country.isupper()):
        found.append(Error("SELLER_COUNTRY: two capital letters, such as VN.", id="hontoni.E022"))
    return found


def _payments() -> list[CheckMessage]:
    """Money from cards: never forgeable, never play money beside real money."""
    if not settings.STRIPE_SECRET_KEY:
        return []
    found: list[CheckMessage] = []
    if not settings.STRIPE_WEBHOOK_SECRET.startswith("whsec_"):
        found.append(
            Error(
                "STRIPE_WEBHOOK_SECRET is missing: anybody could sign an event and be credited.",
                hint="It is shown beside the webhook endpoint in Stripe, and starts with whsec_.",
                id="hontoni.E006",
            )
        )
    try:
        sane = 0 < nanos(settings.TOPUP_MIN) <= nanos(settings.TOPUP_MAX) <= STRIPE_MOST
    except ValueError:
        sane = False
    if not sane:
        found.append(
            Error("TOPUP_MIN and TOPUP_MAX: dollars, up to 999,999.99.", id="hontoni.E009")
        )
    return found + (_live() if is_live(settings.STRIPE_SECRET_KEY) else _test())


def is_live(key: str) -> bool:
    """Whether a Stripe key moves real money."""
    return key.startswith(("sk_live_", "rk_live_", "pk_live_"))


def _live() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.SANDBOX:
        found.append(
            Error(
                "Sandbox mode beside live Stripe keys: test funds would buy real money's worth.",
                hint="Set a vendor key (OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY).",
                id="hontoni.E002",
            )
        )
    if not settings.SECURE:
        found.append(
            Error(
                "PUBLIC_URL is no https address beside live Stripe keys: cards and sessions would "
                "cross the network in clear.",
                hint="Set PUBLIC_URL to where customers find you, such as https://example.com.",
                id="hontoni.E011",
            )
        )
    if settings.DEBUG:
        found.append(Error("DEBUG beside live Stripe keys.", id="hontoni.E003"))
    if settings.STRIPE_API_BASE != "https://api.stripe.com":
        found.append(
            Error(
                "STRIPE_API_BASE beside live Stripe keys: test events would credit real balances.",
                id="hontoni.E007",
            )
        )
    if settings.STRIPE_PUBLISHABLE_KEY and not is_live(settings.STRIPE_PUBLISHABLE_KEY):
        found.append(_mixed())
    return found


def _test() -> list[CheckMessage]:
    return [_mixed()] if is_live(settings.STRIPE_PUBLISHABLE_KEY) else []


def _mixed() -> CheckMessage:
    return Error("One Stripe key is live and the other is a test key.", id="hontoni.E008")
