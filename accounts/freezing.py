"""Freezing an account: every key refuses with 403 `account_frozen`, on every node, at once.

Its owner may still sign in, read everything and top up. Whoever froze first has said why: a
second freeze changes nothing, and `only` lets a disputed payment that is won lift its own freeze
and no other.
"""

from django.db import transaction
from django.utils import timezone

from accounts import terms
from accounts.models import User


def freeze(user_id: int, reason: str) -> bool:
    """Freeze it; the owner is shown the reason. False if it is frozen already."""
    with transaction.atomic():
        thawed = User.objects.filter(pk=user_id, frozen_at=None)
        changed = thawed.update(frozen_at=timezone.now(), frozen_reason=reason)
        if changed:
            terms.changed(user_id)
    return bool(changed)


def unfreeze(user_id: int, *, only: str | None = None) -> bool:
    """Let the keys work again; with `only`, if that is the reason. False if nothing changed."""
    frozen = User.objects.filter(pk=user_id, frozen_at__isnull=False)
    if only is not None:
        frozen = frozen.filter(frozen_reason=only)
    with transaction.atomic():
        changed = frozen.update(frozen_at=None, frozen_reason="")
        if changed:
            terms.changed(user_id)
    return bool(changed)
