"""A step of output is paid for before it is used: the hold grows with the answer."""

from gateway.metering.estimates import FIRST_STEP_TOKENS
from gateway.plane import admission
from gateway.plane.call import Call
from hontoni import money
from hontoni.errors import PaymentRequired
from ratelimits.limiter import Extension


async def extend(call: Call) -> None:
    """Pay for the next step of output before it is used. Raises PaymentRequired when the balance
    ends, or the spend cap of the key or its member is reached: what was produced until then is
    charged, and the stream ends with an error."""
    rates = call.model.price.rates
    step = money.per_million(FIRST_STEP_TOKENS * max(rates[4], rates[5]))
    extension = await admission.extend(call, step)
    if extension.granted == 0 and call.cost_so_far() >= extension.hold:
        raise _ended(extension)
    call.hold_is(extension.hold)


def _ended(extension: Extension) -> PaymentRequired:
    """By what the hold cannot grow."""
    if extension.available > 0 and extension.capped == "member":
        return PaymentRequired(
            "The spend cap of the member whose API key this is was reached in mid-answer.",
            code="member_cap_reached",
        )
    if extension.available > 0:
        return PaymentRequired(
            "This API key's spend cap was reached in mid-answer.", code="key_cap_reached"
        )
    return PaymentRequired("Your balance was used up in mid-answer. Top up to continue.")
