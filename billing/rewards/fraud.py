"""What makes a referral look like one person inviting himself. Numbers are chosen, not measured.

Signals send it to staff, they decide nothing: a family shares a card, an office an address.
"""

import hashlib
import hmac
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import ApiKey, User
from accounts.people.mailboxes import address, mailbox
from billing.rewards import gifts
from billing.rewards.models import Card, Referral
from hontoni.addresses import network

BURST = timedelta(hours=24)
CROWD = 3  # referrals from one address, or one private domain: so many are a crowd

# Where a mailbox costs a sign-up, and neighbours do not know each other.
_PUBLIC = {
    "gmail.com",
    "googlemail.com",
    "aol.com",
    "fastmail.com",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "outlook.com",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "163.com",
    "web.de",
    "yahoo.com",
    "yandex.ru",
    "zoho.com",
}


def same_person(one: User, other: User) -> bool:
    """Beyond doubt: the same account, or the same mailbox."""
    return one.pk == other.pk or mailbox(address(one)) == mailbox(address(other))


def digest(address: str) -> str:
    """Of an IP address, with a key: it can be compared, and not found by trying all of them."""
    return hmac.new(settings.SECRET_KEY.encode(), address.encode(), hashlib.sha256).hexdigest()


def saw_card(user_id: int, fingerprint: str) -> None:
    """Note a card an account pays with, by its fingerprint at Stripe. Twice is once."""
    gifts.saw_card(user_id, fingerprint)
    if fingerprint:
        Card.objects.bulk_create(
            [Card(user_id=user_id, fingerprint=fingerprint)], ignore_conflicts=True
        )


def shared_card(one: int, other: int) -> bool:
    """Whether both accounts have paid with one card."""
    theirs = Card.objects.filter(user_id=other).values("fingerprint")
    return Card.objects.filter(user_id=one, fingerprint__in=theirs).exists()


def signals(
    referrer: User, invitee: User, *, address: str, digest: str, now: datetime
) -> list[str]:
    """Names of what is suspicious: `card`, `browser`, `address`, `burst`, `domain`."""
    found = {
        "card": shared_card(referrer.pk, invitee.pk),
        "browser": "browser" in gifts.shared(referrer.pk, invitee.pk),
        "address": _uses_address(referrer, address),
        "burst": _burst(digest, now),
        "domain": _own_domain(referrer, invitee),
    }
    return [name for name, suspicious in found.items() if suspicious]


def _uses_address(referrer: User, address: str) -> bool:
    """The invited account comes from where the referrer's keys are used."""
    used = ApiKey.objects.filter(user=referrer, last_used_ip__isnull=False)
    return address in {network(ip) for ip in used.values_list("last_used_ip", flat=True) if ip}


def _burst(digest: str, now: datetime) -> bool:
    """A crowd from one address, whoever invited it."""
    recent = Referral.objects.filter(address=digest, created_at__gt=now - BURST)
    return recent.count() >= CROWD - 1


def _own_domain(referrer: User, invitee: User) -> bool:
    """A private domain, where mailboxes cost nothing: the referrer's own, or a crowd's."""
    domain = address(invitee).rpartition("@")[2]
    if domain in _PUBLIC:
        return False
    if address(referrer).endswith(f"@{domain}"):
        return True
    invited = Referral.objects.filter(referrer=referrer, invitee__email__endswith=f"@{domain}")
    return invited.count() >= CROWD - 1
