"""What an account has to spend this very moment."""

from dataclasses import dataclass

from billing.books import ledger
from hontoni import errors
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
