"""Whether who sends a batch, or a file, can pay for it whatever their windows say, and what is set
aside for it."""

from dataclasses import replace

from gateway.metering.estimates import Hold
from gateway.plane import admission, stores
from gateway.plane.callers import Caller
from hontoni.errors import Unavailable
from ratelimits import limiter
from ratelimits.headers import refusal
from ratelimits.limiter import Limits

_MOST_TRIES = 5


async def affords(caller: Caller, request_id: str, amount: int) -> None:
    """Raises what refuses so large a hold, all of it, whatever the windows say: the balance, what
    others hold of it, or a cap of the key's."""
    state = await admission.look(_unhurried(caller), request_id, Hold(amount, amount))
    if state is not None and state.status == "refused":
        raise refusal(state, caller.limits)


async def solvent(caller: Caller, request_id: str) -> None:
    """Raises PaymentRequired where nothing is left of the balance, be it on hold or not: what is
    kept for a customer, and costs them nothing, is kept for those who can pay for its use."""
    state = await admission.look(_unhurried(caller), request_id, Hold(1, 1))
    if state is not None and state.status == "refused" and state.binding == "balance":
        raise refusal(state, caller.limits)


async def earmark(account: int, batch: str, amount: int, lease_ms: int) -> limiter.Reservation:
    """Set so much aside for a batch (limiter.earmark), in an account made anew if need be. Raises
    Unavailable."""
    for _ in range(_MOST_TRIES):
        answer = await limiter.earmark(account, batch, amount=amount, lease_ms=lease_ms)
        if answer != "cold":
            return answer
        await stores.rebuilt(account)
    raise Unavailable("Your account is changing right now. Try again.")


def _unhurried(caller: Caller) -> Caller:
    return replace(caller, limits=Limits())
