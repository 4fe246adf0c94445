"""Whether an account may be charged: it is neither closed nor frozen.

Always true: whatever takes money, from a balance or from a card, asks here last, under the lock
of the account's row. Money that was on its way before is booked, and what is given back goes back.
"""

from typing import NoReturn

from django.db.models import Q

from accounts.models import User
from hontoni import errors


def good(prefix: str = "user__") -> Q:
    """The accounts that may be charged; `prefix` leads from the model asked to its account."""
    return Q(**{f"{prefix}is_active": True, f"{prefix}frozen_at": None})


def is_good(user_id: int) -> bool:
    """Whether this account may be charged."""
    return User.objects.filter(good(""), pk=user_id).exists()


def must_be_good(user_id: int) -> None:
    """Raises Forbidden `account_frozen` or `account_closed`."""
    _judge(User.objects.only("is_active", "frozen_at", "frozen_reason").get(pk=user_id))


def must_stay_good(user_id: int) -> None:
    """The same, and so it stays until the transaction ends: who freezes it waits for that.

    A subscription is locked before its user, always.
    """
    locked = User.objects.select_for_update(no_key=True)
    _judge(locked.only("is_active", "frozen_at", "frozen_reason").get(pk=user_id))


def _judge(user: User) -> None:
    if not user.is_active:
        raise errors.Forbidden("This account is closed.", code="account_closed")
    if user.frozen_at is not None:
        _frozen(user.frozen_reason)


def _frozen(reason: str) -> NoReturn:
    raise errors.Forbidden(
        "This account is frozen: %(reason)s Until that is settled nothing can be bought, and "
        "nothing is charged.",
        code="account_frozen",
        about={"reason": reason},
    )
