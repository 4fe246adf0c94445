"""Freezing an account: every key refuses with 403 `account_frozen`, on every node, at once.

Its owner may still sign in and read everything, and pays nothing. Whoever froze first has said
why: a second freeze changes nothing, and `only` lets a disputed payment that is won lift its own
freeze and no other.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.people import terms

Thaw = Callable[[datetime, datetime], None]

_frozen: list[Callable[[int], None]] = []
_thawing: list[Callable[[int], Thaw]] = []


def follow(*, frozen: Callable[[int], None], thawing: Callable[[int], Thaw]) -> None:
    """Have these called in the transactions that freeze and thaw; imports point down.

    `thawing` comes before the account is touched, for its locks; what it answers comes after, with
    the moment it was frozen and this one.
    """
    _frozen.append(frozen)
    _thawing.append(thawing)


def freeze(user_id: int, reason: str) -> bool:
    """Freeze it; the owner is shown the reason. False if it is frozen already."""
    with transaction.atomic():
        thawed = User.objects.filter(pk=user_id, frozen_at=None)
        changed = thawed.update(frozen_at=timezone.now(), frozen_reason=reason)
        if changed:
            terms.changed(user_id)
            for follower in _frozen:
                follower(user_id)
    return bool(changed)


def unfreeze(user_id: int, *, only: str | None = None) -> bool:
    """Let the keys work again; with `only`, if that is the reason. False if nothing changed."""
    frozen = User.objects.filter(pk=user_id, frozen_at__isnull=False)
    if only is not None:
        frozen = frozen.filter(frozen_reason=only)
    with transaction.atomic():
        thaws = [thawing(user_id) for thawing in _thawing]
        since = frozen.values_list("frozen_at", flat=True).first()
        if since is None or not frozen.filter(frozen_at=since).update(
            frozen_at=None, frozen_reason=""
        ):
            return False
        terms.changed(user_id)
        for thaw in thaws:
            thaw(since, timezone.now())
    return True
