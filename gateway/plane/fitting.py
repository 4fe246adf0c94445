"""What is asked of a vendor is no more than what is held pays for.

Where the balance covers less than a request may cost, its tools are used less often or left out,
and less output is asked for, each told in a header. Where a customer's own key failed and ours are
asked in its place, the list's price is held for first.
"""

from typing import Any

from gateway.dialects.ir import Failed
from gateway.metering import estimates
from gateway.plane import admission, own_keys
from gateway.plane.call import Call
from gateway.plane.exchange import Exchange
from gateway.plane.wire import Headers
from gateway.vendors.own_keys import failing
from hontoni.errors import BadRequest, PaymentRequired

_SPARED = (4, 2, 1, 0)  # calls of each tool
_CLAMPS = {
    "thinking": b"x-hontoni-thinking-budget",
    "max_tokens": b"x-hontoni-max-tokens",
    "context": b"x-hontoni-context",
}


def clamp_headers(clamps: dict[str, Any]) -> Headers:
    """The headers that say what was taken from a request."""
    return [(_CLAMPS[name], _clamped(clamp)) for name, clamp in clamps.items() if name in _CLAMPS]


def _clamped(clamp: dict[str, Any]) -> bytes:
    words = [str(clamp["applied"])]
    if effort := clamp.get("effort"):
        words.append(f"effort={effort}")
    if by := clamp.get("by"):
        words += [f"asked={clamp['asked']}", f"clamped-by={by}"]
    return "; ".join(words).encode()


def retell(http: Exchange, clamps: dict[str, Any]) -> None:
    """In place of what the header said before."""
    given = dict(clamp_headers(clamps))
    http.extra = [header for header in http.extra if header[0] not in given] + list(given.items())


def fit(call: Call) -> None:
    """Ask for no more than what is held pays for. Raises PaymentRequired."""
    _fit_features(call)
    _fit_to_balance(call)


def _fit_features(call: Call) -> None:
    """Where the balance does not cover what its tools may cost, they may be used less often, or
    are left out. Raises PaymentRequired where one is forced."""
    if not call.lane.sifted.uses or call.held >= call.hold.full:
        return
    for calls in _SPARED:
        try:
            call.lane.spare(calls)
        except BadRequest:
            raise PaymentRequired("Your balance does not cover what this tool may cost.") from None
        call.spared, call.request = calls, call.request.covering(call.lane.sifted)
        if call.held >= call.hold.full:
            break
    call.hold_is(call.held)


def _fit_to_balance(call: Call) -> None:
    """Where the balance does not cover the whole output and we cannot watch it being produced,
    less of it is asked for."""
    if call.held >= call.hold.full or (call.stream and not call.hidden):
        return
    affordable = estimates.affordable_output(call.model, call.estimate, call.held)
    if affordable >= call.estimate.output:
        return
    by = "balance" if call.state is None or call.state.available <= 0 else "spend-cap"
    clamp = {"asked": call.estimate.output, "applied": affordable, "by": by}
    call.clamps["max_tokens"] = clamp
    retell(call.http, {"max_tokens": clamp})
    call.request = call.request._replace(affordable=affordable)
    call.lane.limit_output(affordable)


async def hold_for_ours(call: Call, failed: Failed | None) -> None:
    """The customer's own key failed, and ours are asked in its place: at the list's price, which
    is held first. Raises PaymentRequired where the balance does not cover it."""
    ours = call.model.ours
    assert ours is not None and call.mine is not None
    call.fell_back = failed.code if failed is not None else failing.CLOSED
    call.request = call.request.priced(ours, call.lane.sifted)
    if (missing := call.hold.full - call.held) > 0:
        more = await admission.extend(call, missing)
        call.hold_is(more.hold)
    if call.held < call.hold.floor:
        raise PaymentRequired(
            f"Your own key at {call.mine.key.name} failed ({call.fell_back}), and your balance "
            "does not cover this request at our price."
        )
    own_keys.tell(call)
