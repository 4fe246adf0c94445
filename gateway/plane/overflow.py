"""Past a full window of the plan, where a key's owner lets it: for a surcharge, under a cap.

* A window (5h, daily, weekly, monthly) refuses, and the key has an overflow: the request asks once
  more to go past it, at its price and the plan's surcharge, all that it can cost held at once.
* It counts in no window but the last minute: what is paid for apart uses up nothing of the plan.
* Should a window have opened meanwhile, it is an ordinary request again.
* Where overflow does not admit it, the window's refusal stands, and says why.
"""

from typing import TYPE_CHECKING

from gateway.usage.overflow import CAP
from hontoni.errors import ApiError
from hontoni.money import dollars, per_cent
from ratelimits.headers import refusal
from ratelimits.limiter import State

if TYPE_CHECKING:
    from gateway.catalogue.features.sift import Sifted
    from gateway.catalogue.sold import Model
    from gateway.plane.call import Call
    from gateway.plane.callers import Caller
    from gateway.plane.inbound import InboundRequest

HEADER = b"x-hontoni-overflow"
_WINDOWS = ("5h", "daily", "weekly", "monthly")
CAPPED = ("overflow_month", "overflow_hold")
# Whoever waits for these goes past the window then.
_SOON = ("rpm", "concurrent", "hold", "purse_hold", "member_hold", "brake_on_hold")


def enters(call: "Call", state: State) -> bool:
    """Whether what a window refused asks once more, past it."""
    if call.past is not None or not may(call.caller, state):
        return False
    call.past = state
    return True


def may(caller: "Caller", state: State) -> bool:
    """Whether this caller may go past what has refused."""
    return caller.overflow is not None and state.binding in _WINDOWS


def priced(
    request: "InboundRequest", sold: "Model", sifted: "Sifted", surcharge: int
) -> "InboundRequest":
    """The request past a window: at a surcharge, in basis points, and held for as a whole."""
    return request.priced(sold.surcharged(surcharge), sifted).whole(sifted)


def leave(call: "Call") -> None:
    """A window has opened, or its owner has switched overflow off: it is as any other again."""
    call.past = None
    call.request = call.request.priced(call.model, call.lane.sifted)


def tell(call: "Call") -> None:
    """In the answer's head: which window it went past, and for how much more."""
    if call.past is not None:
        said = f"{call.past.binding}; surcharge={per_cent(call.caller.surcharge)}%"
        call.http.extra.append((HEADER, said.encode()))


def refused(call: "Call", state: State) -> ApiError:
    """What answers a refused request: of the window, if overflow did not help for long."""
    limits, guard = call.caller.limits, call.ask and call.ask.guard
    past, allowed = call.past, call.caller.overflow
    if past is None or allowed is None:
        return refusal(state, limits, guard)
    spent, held = state.past or (0, 0)
    standing = {"cap": dollars(allowed.cap), "spent": dollars(spent), "held": dollars(held)}
    if state.binding in _SOON:
        return refusal(state, limits, guard)
    window = refusal(past, limits, guard)
    if state.binding == "overflow_hold":  # the rest of the cap may be free in a moment
        window.headers = {"Retry-After": "2"}
    code, why = _why(call, state, standing)
    window.message += f" Overflow does not admit it: {why}"
    window.details["overflow"] = standing | {"refused_by": code}
    return window


def _why(call: "Call", state: State, standing: dict[str, str]) -> tuple[str, str]:
    """By what, for programs, and in words."""
    most = f"this API key may spend ${standing['cap']} a month past its windows"
    match state.binding:
        case "overflow_month":
            return CAP, (
                f"{most}, has spent ${standing['spent']}, and this request could cost "
                f"${dollars(call.hold.full)}."
            )
        case "overflow_hold":
            return "on_hold", f"{most}, and requests that are still running hold the rest."
    other = refusal(state, call.caller.limits, call.ask and call.ask.guard)
    return other.code, other.message
