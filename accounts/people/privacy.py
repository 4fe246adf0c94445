"""What an owner lets vendors, and us, do with what is sent and answered."""

from collections.abc import Callable

from django.db import transaction

from accounts.models import User
from accounts.people import terms

_forgetters: list[Callable[[int], None]] = []


def follow(forget: Callable[[int], None]) -> None:
    """Have this called with an account that wants nothing kept any more: imports point down."""
    _forgetters.append(forget)


@transaction.atomic
def let_vendors_store(user: User, allowed: bool) -> None:
    """From the next request on: whether a vendor may keep one that asks it to."""
    changed = User.objects.filter(pk=user.pk).exclude(vendors_may_store=allowed)
    if changed.update(vendors_may_store=allowed):
        terms.changed(user.pk)
    user.vendors_may_store = allowed


@transaction.atomic
def keep_responses(user: User, allowed: bool) -> None:
    """From the next request on: whether answers of /v1/responses are kept for a while. What was
    kept before is forgotten where they are not."""
    changed = User.objects.filter(pk=user.pk).exclude(keeps_responses=allowed)
    if changed.update(keeps_responses=allowed):
        terms.changed(user.pk)
    user.keeps_responses = allowed
    if not allowed:
        for forget in _forgetters:
            forget(user.pk)
