"""What an owner lets vendors do with what they are sent."""

from django.db import transaction

from accounts.models import User
from accounts.people import terms


@transaction.atomic
def let_vendors_store(user: User, allowed: bool) -> None:
    """From the next request on: whether a vendor may keep one that asks it to."""
    changed = User.objects.filter(pk=user.pk).exclude(vendors_may_store=allowed)
    if changed.update(vendors_may_store=allowed):
        terms.changed(user.pk)
    user.vendors_may_store = allowed
