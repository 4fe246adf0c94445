"""The kinds of things that are watched: what their numbers mean, and what they are at first."""

import hashlib
import hmac
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db.models import F
from django.utils.translation import gettext_noop

from cockpit.watch.models import Kind, Rule
from hontoni import standard_webhooks


@dataclass(frozen=True, slots=True)
class Meaning:
    """Of a kind's `threshold` and `least` (empty: it has none), and their first values. `gone`:
    a finding is over when it is not found any more. `mails` otherwise: the daily round has mails
    of its own."""

    threshold: str
    first: str
    least: str = ""
    first_least: str = "0"
    gone: bool = False
    mails: bool = True


MEANINGS = {
    Kind.SPEND: Meaning(
        gettext_noop("times what the customer spent a day in the seven days before"),
        "5",
        gettext_noop("dollars in the day, at least"),
        "20",
    ),
    Kind.ACCOUNTS: Meaning(
        gettext_noop("times as many sign-ups in 24 hours as on a day of the seven before"),
        "5",
        gettext_noop("sign-ups in 24 hours, at least"),
        "20",
    ),
    Kind.ADDRESS: Meaning(
        gettext_noop("accounts that were used from one address within seven days"), "5"
    ),
    Kind.PERSON: Meaning(gettext_noop("accounts with the same browser, card or mailbox"), "3"),
    Kind.KEY_PLACES: Meaning(gettext_noop("networks from which one key was used in a day"), "20"),
    Kind.CAPPED: Meaning(
        gettext_noop("requests of one model in 24 hours that cost more than was held"), "3"
    ),
    Kind.QUARANTINE: Meaning(
        gettext_noop("bills, payments or events that wait for somebody"), "1", gone=True
    ),
    Kind.MARGIN: Meaning(
        gettext_noop("per cent that yesterday earned of what it was charged: below that"),
        "0",
        gettext_noop("dollars of cost, at least"),
        "1",
        mails=False,
    ),
    Kind.VENDOR_BILL: Meaning(
        gettext_noop("dollars that nothing explains, on one day"), "1", gone=True, mails=False
    ),
}


def seed() -> None:
    """The rules that are missing, as they are at first."""
    Rule.objects.bulk_create(
        (
            Rule(
                kind=kind,
                threshold=Decimal(meaning.first),
                least=Decimal(meaning.first_least),
                mail=meaning.mails,
            )
            for kind, meaning in MEANINGS.items()
        ),
        ignore_conflicts=True,
    )


def secret(rule: Rule) -> str:
    """What signs its webhooks, in the form that verifiers of Standard Webhooks take."""
    of = f"watch:{rule.kind}:{rule.secret_version}".encode()
    key = hmac.new(settings.SECRET_KEY.encode(), of, hashlib.sha256).digest()[:24]
    return standard_webhooks.written(key)


def renew_secret(rule: Rule) -> None:
    """Whoever knows the old one cannot sign any more."""
    Rule.objects.filter(pk=rule.pk).update(secret_version=F("secret_version") + 1)
    rule.refresh_from_db()
