"""What can be heard of: each type of event, the notices that are one, and who in a team may know.

A notice is recorded in the transaction of the deed, under a key that is unique for its cause
(billing/mails/notices.py): so there is exactly one event of each cause, and none of what was
rolled back. The data of an event are the notice's facts, as that module and letters.py list them.
"""

from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.keys import scopes
from accounts.teams import roles
from billing.mails.models import Notice

TEST = "webhook.test"
_MONEY, _USAGE, _ANYBODY = (scopes.BILLING,), (scopes.USAGE,), ()
# A developer sees keys of their own only, and no event says whose a key is.
_KEYS = (roles.KEYS_READ, scopes.BILLING)


class Event(NamedTuple):
    """A type: what it is about, the kinds of notices that are one, and what a role must allow."""

    about: Promise
    kinds: tuple[str, ...]
    needs: tuple[str, ...]


TYPES: dict[str, Event] = {
    "balance.low": Event(_("The balance is low"), ("low_balance",), _MONEY),
    # xgettext:no-python-format
    "limit.warning": Event(_("80 % of a limit of requests is used"), ("window_80",), _USAGE),
    "limit.reached": Event(_("A limit of requests is used up"), ("window_100",), _USAGE),
    # xgettext:no-python-format
    "cap.warning": Event(_("80 % of a spend cap is spent"), ("cap_80",), _USAGE),
    "cap.reached": Event(_("A spend cap is reached"), ("cap_100",), _USAGE),
    "plan.started": Event(_("A plan begins"), ("plan_started",), _MONEY),
    "plan.upgraded": Event(_("A plan is upgraded"), ("plan_upgraded",), _MONEY),
    "plan.renews_soon": Event(_("A renewal is near"), ("plan_renewal_soon",), _MONEY),
    "plan.renewed": Event(_("A plan is renewed"), ("plan_renewed",), _MONEY),
    "plan.renewal_failed": Event(_("A renewal failed"), ("plan_renewal_failed",), _MONEY),
    "plan.ended": Event(_("A plan ends"), ("plan_ended",), _MONEY),
    "addon.started": Event(_("An add-on begins"), ("add_on_started",), _MONEY),
    "plan.reset": Event(_("The limits of a plan are reset"), ("windows_reset",), _MONEY),
    "payment.received": Event(_("A payment arrived"), ("topup_receipt", "auto_topup"), _MONEY),
    "payment.failed": Event(
        _("An automatic top-up failed"), ("auto_topup_failed", "auto_topup_off"), _MONEY
    ),
    "payment.disputed": Event(_("A payment is disputed"), ("dispute", "dispute_won"), _MONEY),
    "payment.refunded": Event(_("A payment is refunded"), ("refund",), _MONEY),
    "payment.refund_failed": Event(_("A refund did not go through"), ("refund_failed",), _MONEY),
    "charge.corrected": Event(_("Charges are corrected"), ("correction",), _MONEY),
    "account.frozen": Event(_("The account is frozen"), ("account_frozen",), _ANYBODY),
    "key.made": Event(_("A key or a token is made"), ("new_key",), _KEYS),
    "key.leaked": Event(_("A key leaked"), ("key_leaked",), _KEYS),
    "model.retiring": Event(_("A model that is used ends"), ("model_ends",), _ANYBODY),
    "price.agreed": Event(_("Prices of your own are agreed"), ("own_price",), _MONEY),
    "price.rising": Event(
        _("A price rises"),
        (
            *("model_price_rises", "feature_price_rises", "own_key_fee_rises", "price_rises"),
            "surcharge_rises",
            "own_price_ends",  # told where the list is dearer
        ),
        _ANYBODY,
    ),
}
_TYPE = {kind: name for name, event in TYPES.items() for kind in event.kinds}
KINDS = tuple(_TYPE)


def type_of(notice: Notice | None) -> str:
    """None is a test."""
    return TEST if notice is None else _TYPE[notice.kind]


def wanted(kind: str, chosen: list[str]) -> bool:
    """Whether somebody who chose these types (none: all) wants notices of that kind."""
    return not chosen or _TYPE[kind] in chosen


def known(chosen: list[str]) -> list[str]:
    """Those that there are, each once, in the order of the table."""
    return [name for name in TYPES if name in chosen]


def payload(notice: Notice | None, account_id: int, at: str) -> dict[str, Any]:
    """What a webhook says: the same whenever it is sent."""
    facts = {} if notice is None else dict(notice.facts)
    kind = "test" if notice is None else notice.kind
    return {
        "type": type_of(notice),
        "timestamp": at,
        "data": {"account": account_id, "kind": kind, **facts},
    }
