"""What an account has to spend this very moment."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F
from django.db.models.functions import Coalesce

from billing import ledger, notices
from billing.models import Notice, Preferences, Wallet
from hontoni import errors
from hontoni.money import dollars
from ratelimits import limiter


@dataclass(frozen=True, slots=True)
class Balance:
    """Nano-dollars. `held` is set aside for requests that are running."""

    balance: int
    held: int

    @property
    def available(self) -> int:
        return self.balance - self.held


def live(user_id: int) -> Balance:
    """Up to the last request: Redis knows what was charged before the ledger has settled it.

    Without Redis, or before the account's first request, what the ledger says.
    """
    wallet = ledger.wallet(user_id)
    try:
        account = limiter.read_account_sync(user_id)
    except errors.Unavailable:
        account = None
    if account is None:
        return Balance(balance=wallet.balance, held=0)
    return Balance(balance=wallet.credits_total - account.charged, held=account.held)


def warn_low(user_ids: Iterable[int]) -> None:
    """Tell who has come down to the threshold they chose: once, until money comes or goes again.

    Call it in the transaction that settled their usage.
    """
    threshold = Coalesce("user__preferences__low_balance", Preferences.LOW_BALANCE)
    wallets = Wallet.objects.filter(pk__in=user_ids).annotate(threshold=threshold)
    low = wallets.filter(credits_total__lte=F("settled_total") + F("threshold")).order_by("pk")
    # Any posting but usage makes a new version: then it is news again.
    found = {f"low:{wallet.pk}:{wallet.credits_version}": wallet for wallet in low}
    told = Notice.objects.filter(key__in=found).values_list("key", flat=True) if found else ()
    notices.tell_all(
        Notice(
            user_id=found[key].pk,
            kind="low_balance",
            key=key,
            facts={
                "balance": dollars(found[key].balance),
                "threshold": dollars(found[key].threshold),
            },
        )
        for key in sorted(found.keys() - set(told))
    )
