"""Accounts that belong together, frozen and let go as one: a fraud ring.

Who belongs to it a person decides; what is linked beyond a finding is only proposed.
"""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from accounts.people import freezing
from billing.books import audit
from billing.rewards.models import Card, Mark, Referral
from cockpit.watch.models import Finding


def linked(users: Iterable[int]) -> dict[int, str]:
    """Accounts that share a mark or a card with one of these, or were invited by or invited one:
    by id, with what links them."""
    mine = list(users)
    found: dict[int, str] = {}
    marks = Mark.objects.filter(user__in=mine).values("digest")
    cards = Card.objects.filter(user__in=mine).values("fingerprint")
    for user, kind in Mark.objects.filter(digest__in=marks).values_list("user", "kind"):
        found.setdefault(user, f"same {kind}")
    for user in Card.objects.filter(fingerprint__in=cards).values_list("user", flat=True):
        found.setdefault(user, "same card")
    for user in Referral.objects.filter(referrer__in=mine).values_list("invitee", flat=True):
        found.setdefault(user, "invited by one")
    for user in Referral.objects.filter(invitee__in=mine).values_list("referrer", flat=True):
        found.setdefault(user, "invited one")
    return {user: why for user, why in found.items() if user not in set(mine)}


def members(users: Iterable[int]) -> "QuerySet[User]":
    """Of these, those that can be frozen: customers, not staff."""
    return User.objects.filter(pk__in=list(users), is_staff=False, is_active=True)


@transaction.atomic
def freeze(
    found: Finding, users: Iterable[int], *, reason: str, actor: str, request_id: str
) -> list[int]:
    """Freeze all of these at once, each with its audit entry, and one of the whole; which were
    not frozen before."""
    frozen = [pk for pk in _ordered(users) if freezing.freeze(pk, reason)]
    who = {"actor": actor, "request_id": request_id}
    for pk in frozen:
        before, after = {"frozen_reason": ""}, {"reason": reason, "finding": found.pk}
        _audit(who, "freeze", f"user:{pk}", before, after)
    _audit(who, "freeze ring", f"finding:{found.pk}", {}, {"accounts": frozen, "reason": reason})
    found.frozen, found.frozen_reason = sorted({*found.frozen, *frozen}), reason
    found.save(update_fields=["frozen", "frozen_reason"])
    return frozen


@transaction.atomic
def unfreeze(found: Finding, *, reason: str, actor: str, request_id: str) -> list[int]:
    """Let go those that this finding froze, and nobody froze for another reason; which."""
    kept = found.frozen_reason
    let_go = [pk for pk in sorted(found.frozen) if freezing.unfreeze(pk, only=kept)]
    who = {"actor": actor, "request_id": request_id}
    for pk in let_go:
        _audit(who, "unfreeze", f"user:{pk}", {"frozen_reason": kept}, {"reason": reason})
    after = {"accounts": let_go, "reason": reason}
    _audit(who, "unfreeze ring", f"finding:{found.pk}", {"reason": kept}, after)
    found.frozen, found.frozen_reason = [], ""
    found.save(update_fields=["frozen", "frozen_reason"])
    return let_go


def _ordered(users: Iterable[int]) -> list[int]:
    """In one order, so that two freezes do not wait for each other."""
    return list(members(users).order_by("pk").values_list("pk", flat=True))


def _audit(
    who: Mapping[str, str],
    action: str,
    subject: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> None:
    audit.record(**who, action=action, subject=subject, before=before, after=after)
