"""An account made anew in Redis from the books, once all gateways have said what they run."""

import logging
from collections.abc import Iterable

from billing.books.seeding import seed_account
from billing.models import Wallet
from gateway.stores import nodes, windows
from gateway.usage.settlement import recorded
from hontoni.errors import Unavailable
from ratelimits import rebuilding

logger = logging.getLogger(__name__)


class Behind(Unavailable):
    """A gateway has not announced its requests yet: it will in a moment."""


def rebuild(user_id: int) -> bool:
    """Make an account anew; False if it was in this epoch already, or something happened that its
    next request will have it made anew for. Raises Behind, Unavailable."""
    epoch = rebuilding.confirmed_sync()
    if waiting := nodes.behind(epoch):
        logger.info("rebuild.waits %d for %s", user_id, waiting)
        raise Behind(
            "Your account is being checked. Try again in a second.", headers={"Retry-After": "1"}
        )
    return seed_account(user_id, recorded=recorded, windows=windows.counted, epoch=epoch)


def rebuild_stale(accounts: Iterable[int]) -> int:
    """Make anew those of these accounts that were not in this epoch, so that what is in the books
    already is not settled again; how many. Raises Behind, Unavailable."""
    epoch, done = rebuilding.confirmed_sync(), 0
    for account in sorted(accounts):
        if rebuilding.epoch_of(account) != epoch:
            done += rebuild(account)
    return done


def reseed(user_ids: Iterable[int] | None = None) -> int:
    """Have accounts (None: all) made anew before their next request; how many."""
    found = list(user_ids) if user_ids is not None else _all()
    rebuilding.forget_sync(found)
    return len(found)


def _all() -> list[int]:
    return list(Wallet.objects.order_by("pk").values_list("pk", flat=True))
