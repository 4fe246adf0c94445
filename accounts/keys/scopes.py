"""What a program may do for an account, by name. An API key has scopes, and so has a personal
access token; a session, by password, may do everything.

    scope           what it opens
    inference       /v1, but for what a key may ask about itself
    usage:read      GET /v1/usage; usage, receipts and refusals on /api
    keys:manage     /api/keys: never more than its own scopes can be given on
    billing:read    balance, transactions, invoices, plan on /api
    billing:write   buying and paying on /api; personal access tokens only
    webhooks:manage /api/webhooks; personal access tokens only

What no scope opens takes a session: passwords, privacy, cards, tokens themselves.
"""

from collections.abc import Iterable

from django.utils.translation import gettext_lazy as _

from accounts.models import scopes_by_default
from hontoni import errors

INFERENCE = "inference"
USAGE = "usage:read"
KEYS = "keys:manage"
BILLING = "billing:read"
BUYING = "billing:write"
WEBHOOKS = "webhooks:manage"
ANY = "any"  # of a door that every scope opens

OF_KEYS = (INFERENCE, USAGE, KEYS, BILLING)
OF_TOKENS = (USAGE, KEYS, BILLING, BUYING, WEBHOOKS)
BY_DEFAULT = tuple(scopes_by_default())

WORDS = {
    INFERENCE: _("Ask models (/v1)"),
    USAGE: _("Read usage and receipts"),
    KEYS: _("Make, change and revoke API keys"),
    BILLING: _("Read balance, plan and invoices"),
    BUYING: _("Buy: top up, change plan and add-ons"),
    WEBHOOKS: _("Make and change webhooks"),
}


def in_order(chosen: Iterable[str]) -> list[str]:
    """Each once, in the order of the table."""
    given = set(chosen)
    return [scope for scope in WORDS if scope in given]


def missing(scope: str, holder: str) -> errors.Forbidden:
    """What a `holder` ("API key") that lacks a scope is told."""
    if not scope:
        return errors.Forbidden(
            f"This takes a session: log in at /api/auth/login. No {holder} may do it.",
            code="scope_missing",
        )
    return errors.Forbidden(
        f"This {holder} lacks the scope {scope}. Its owner can add it.",
        code="scope_missing",
        details={"scope": scope},
    )


def beyond(wanted: Iterable[str], held: Iterable[str]) -> list[str]:
    """What a holder may not give on: everything but asking models that it has not itself."""
    return in_order(set(wanted) - set(held) - {INFERENCE})
