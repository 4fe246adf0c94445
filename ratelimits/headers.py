"""What a response says about limits: the headers of every answer, and the refusals.

* The twelve X-RateLimit-* headers of our documentation, X-RateLimit-Reset-* (whole seconds,
  rounded up; 0 where nothing is open) and the IETF pair RateLimit-Policy and RateLimit
  (draft-ietf-httpapi-ratelimit-headers). Names are in lower case, as ASGI demands.
* Nobody knows the caller (401): every number is 0.
* A limit of 0 means there is none: Limit and Remaining then say 2147483647, the largest number
  every client can read, and the IETF pair leaves it out.
* The minute is a sliding log: it resets when its oldest request leaves it, so one more may come.
* RateLimit names the window with the fewest requests left; of equals the one that resets last.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from hontoni import errors
from hontoni.money import dollars
from ratelimits import guards
from ratelimits.guards import Guard
from ratelimits.limiter import Limits, State, Window
from ratelimits.purses import Spend

Header = tuple[bytes, bytes]

UNLIMITED = 2**31 - 1
LONG_WAIT_MS = 60_000  # beyond it a client should tell its user instead of sleeping
LENGTHS = {"rpm": 60, "5h": 18_000, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000}
_LIMIT = {name: f"x-ratelimit-limit-{name}".encode() for name in LENGTHS}
_REMAINING = {name: f"x-ratelimit-remaining-{name}".encode() for name in LENGTHS}
_RESET = {name: f"x-ratelimit-reset-{name}".encode() for name in LENGTHS}
_CONCURRENT_LIMIT = b"x-ratelimit-concurrent-limit"
_CONCURRENT_ACTIVE = b"x-ratelimit-concurrent-active"
# What changes from answer to answer, to be filled in: in the order of the windows.
_MOVING = b"%b: %%d\r\n" % _CONCURRENT_ACTIVE + b"".join(
    [b"%b: %%d\r\n%b: %%d\r\n" % (_REMAINING[name], _RESET[name]) for name in LENGTHS]
)
_REFUSALS = {
    "rpm": ("rate_limit_exceeded", "requests per minute"),
    "5h": ("plan_limit_5h", "requests per 5 hours"),
    "daily": ("plan_limit_daily", "requests per day"),
    "weekly": ("plan_limit_weekly", "requests per week"),
    "monthly": ("plan_limit_monthly", "requests per 30 days"),
    "concurrent": ("concurrency_limit", "concurrent requests"),
}

# -- On every response ---------------------------------------------------------------------------


def rate_limit_lines(state: State | None, limits: Limits | None) -> bytes:
    """The headers of one response as they are written, each with its CRLF.

    No limits: nobody is known. No state: Redis did not answer, so nothing is left to promise.
    """
    if limits is None:
        return _nobody()
    windows = state.windows if state is not None and state.windows else _exhausted(limits)
    numbers = [state.active if state is not None else 0]
    least: tuple[int, int, str] | None = None
    fewest = UNLIMITED
    for name, limit, used, reset_ms in windows:
        left = UNLIMITED
        if limit:
            left = limit - used if limit > used else 0
            if least is None or (left <= fewest and (left, -reset_ms, name) < least):
                least, fewest = (left, -reset_ms, name), left
        numbers += (left, -(-reset_ms // 1000))
    lines = _fixed(limits) + _MOVING % tuple(numbers)
    if state is not None and state.binding == "concurrent":
        seconds = -(-state.retry_after_ms // 1000)
        return lines + b'ratelimit: "concurrent";r=0;t=%d\r\n' % seconds
    if least is None:
        return lines
    left, ms, name = least
    return lines + b'ratelimit: "%b";r=%d;t=%d\r\n' % (name.encode(), left, -(ms // 1000))


@lru_cache(maxsize=4096)
def _fixed(limits: Limits) -> bytes:
    """What depends on the limits alone."""
    numbers = _numbers(limits)
    found = [(_LIMIT[name], b"%d" % (numbers[name] or UNLIMITED)) for name in LENGTHS]
    found.append((_CONCURRENT_LIMIT, b"%d" % (limits.concurrent or UNLIMITED)))
    policy = [f'"{name}";q={numbers[name]};w={LENGTHS[name]}' for name in LENGTHS if numbers[name]]
    if limits.concurrent:
        policy.append(f'"concurrent";q={limits.concurrent};qu="concurrent-requests"')
    if policy:
        found.append((b"ratelimit-policy", ", ".join(policy).encode()))
    return _lines(found)


@lru_cache(maxsize=1)
def _nobody() -> bytes:
    names = [*_LIMIT.values(), *_REMAINING.values(), *_RESET.values()]
    policy = ", ".join(f'"{name}";q=0;w={seconds}' for name, seconds in LENGTHS.items())
    return _lines(
        [
            *((name, b"0") for name in (*names, _CONCURRENT_LIMIT, _CONCURRENT_ACTIVE)),
            (b"ratelimit-policy", f'{policy}, "concurrent";q=0;qu="concurrent-requests"'.encode()),
            (b"ratelimit", b'"rpm";r=0;t=0'),
        ]
    )


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _exhausted(limits: Limits) -> tuple[Window, ...]:
    return tuple((name, limit, limit, 0) for name, limit in _numbers(limits).items())


def _numbers(limits: Limits) -> dict[str, int]:
    values = (limits.rpm, limits.five_hours, limits.daily, limits.weekly, limits.monthly)
    return dict(zip(LENGTHS, values, strict=True))


# -- Refusals ------------------------------------------------------------------------------------


def refusal(state: State, limits: Limits, guard: Guard | None = None) -> errors.ApiError:
    """The error that answers a refused admission: RateLimited, PaymentRequired or Forbidden.

    It names the limit, the number and when it frees, for programs in `details`.
    `x-should-retry: false` where retrying is futile: agents otherwise hammer, or sleep for hours.
    """
    if guard is not None and state.binding.startswith(("brake_", "session_")):
        return guards.refusal(state, guard)
    match state.binding:
        case "spent_day":
            return _cap_reached(state, state.spend[0], _KEY)
        case "spent_month":
            return _cap_reached(state, state.spend[1], _KEY)
        case "spent_life":
            return _life_over(state.spend[2], _KEY)
        case "purse_hold":
            return _cap_on_hold(state.spend, _KEY)
        case "member_day":
            return _cap_reached(state, state.member[0], _MEMBER)
        case "member_month":
            return _cap_reached(state, state.member[1], _MEMBER)
        case "member_life":
            return _life_over(state.member[2], _MEMBER)
        case "member_hold":
            return _cap_on_hold(state.member, _MEMBER)
        case "balance":
            return _insufficient(state)
        case "hold":
            return _on_hold(state)
        case "settled":
            return errors.Unavailable(
                "This request has already ended. Send it again.", headers={"Retry-After": "1"}
            )
        case "concurrent":
            return _limited(state, limits.concurrent)
        case name:
            return _limited(state, _numbers(limits)[name])


def _insufficient(state: State) -> errors.PaymentRequired:
    return errors.PaymentRequired(
        f"Your balance of ${dollars(state.balance)} is too low for this request. "
        "Add funds to continue.",
        code="insufficient_balance",
        headers={"x-should-retry": "false"},
    )


def _on_hold(state: State) -> errors.PaymentRequired:
    return errors.PaymentRequired(
        f"${dollars(state.held)} of your balance of ${dollars(state.balance)} is held by requests "
        "that are still running. Try again in 2 seconds, or add funds.",
        code="balance_on_hold",
        headers={"Retry-After": "2"},
    )


_CAPS = {
    "day": ("cap_daily", "a day"),
    "month": ("cap_monthly", "a month"),
    "life": ("cap_lifetime", "in all"),
}


class _Capped(NamedTuple):
    """Whose cap it is, how their codes begin, and who can raise it."""

    who: str
    code: str
    raiser: str
    instead: str = ""


_KEY = _Capped("This API key", "key_", "its owner", ", or use another key")
_MEMBER = _Capped("The member whose API key this is", "member_", "an admin of the team")


def _cap_reached(state: State, spend: Spend, whose: _Capped) -> errors.PaymentRequired:
    code, each = whose.code + _CAPS[spend.period][0], _CAPS[spend.period][1]
    seconds, _ = _when(state)
    frees = datetime.fromtimestamp((state.now // 1000 + spend.reset_ms) // 1000, UTC)  # midnight
    return errors.PaymentRequired(
        f"{whose.who} may spend ${dollars(spend.cap)} {each}, and has spent "
        f"{_spent(spend)}. It can spend again in {duration(seconds)}, at "
        f"{frees:%Y-%m-%d %H:%M} UTC, or when {whose.raiser} raises the cap.",
        code=code,
        headers={"Retry-After": str(seconds), "x-should-retry": "false"},
        details=_details(code, dollars(spend.cap), frees),
    )


def _life_over(spend: Spend, whose: _Capped) -> errors.PaymentRequired:
    """Waiting does not help: there is no Retry-After, and nothing frees."""
    code, each = whose.code + _CAPS[spend.period][0], _CAPS[spend.period][1]
    return errors.PaymentRequired(
        f"{whose.who} may spend ${dollars(spend.cap)} {each}, and has spent {_spent(spend)}. "
        f"This cap does not free by itself: {whose.raiser} can raise it{whose.instead}.",
        code=code,
        headers={"x-should-retry": "false"},
        details={"limit": code, "allowed": dollars(spend.cap), "frees_at": None},
    )


def _spent(spend: Spend) -> str:
    left = max(spend.cap - spend.spent, 0)
    rest = f", and this request could cost more than the ${dollars(left)} left" if left else ""
    return f"${dollars(spend.spent)}{rest}"


def _cap_on_hold(spend: Sequence[Spend], whose: _Capped) -> errors.PaymentRequired:
    lines = " and ".join(
        f"${dollars(each.cap)} {_CAPS[each.period][1]} (${dollars(each.spent)} spent, "
        f"${dollars(each.held)} held)"
        for each in spend
        if each.cap
    )
    return errors.PaymentRequired(
        f"{whose.who} may spend {lines}, and requests that are still running hold the rest. "
        "Try again in 2 seconds.",
        code=f"{whose.code}cap_on_hold",
        headers={"Retry-After": "2"},
    )


def _when(state: State) -> tuple[int, datetime]:
    """In how many whole seconds the binding limit frees, and when that is."""
    seconds = max(-(-state.retry_after_ms // 1000), 1)
    return seconds, datetime.fromtimestamp(-(-state.now // 1_000_000) + seconds, UTC)


def _details(limit: str, allowed: int | str, frees: datetime) -> dict[str, int | str]:
    """The refusal for programs: which limit, its number (dollars are decimal strings), when."""
    return {"limit": limit, "allowed": allowed, "frees_at": f"{frees:%Y-%m-%dT%H:%M:%SZ}"}


def _limited(state: State, limit: int) -> errors.RateLimited:
    code, unit = _REFUSALS[state.binding]
    seconds, frees = _when(state)
    headers = {"Retry-After": str(seconds)}
    if state.retry_after_ms > LONG_WAIT_MS:
        headers["x-should-retry"] = "false"
    else:
        headers["retry-after-ms"] = str(state.retry_after_ms)
    return errors.RateLimited(
        f"You have reached your limit of {limit} {unit}. "
        f"Try again in {duration(seconds)}, at {frees:%Y-%m-%d %H:%M:%S} UTC.",
        code=code,
        headers=headers,
        details=_details(state.binding, limit, frees),
    )


def duration(seconds: int) -> str:
    """Whole seconds in words: 11_524 -> "3 hours, 12 minutes and 4 seconds"."""
    parts = []
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}{'s' * (count > 1)}")
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
