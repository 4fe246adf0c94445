"""What the scripts answer: packed numbers (lua/state.lua), made into a State.

How long until something resets is reckoned here: scripts run alone, and gateways side by side.
"""

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Any, Literal, NamedTuple

from ratelimits.overflows import PACKED as OVERFLOW
from ratelimits.purses import PACKED, Caps, Spend, standing

Status = Literal[
    "ok", "outdated", "stale", "cold", "unseeded", "refused",  # of admit
    "settled", "already", "alive", "unknown",  # of settle
    "inside",  # of admit
]  # fmt: skip
Binding = Literal[
    "", "rpm", "5h", "daily", "weekly", "monthly", "concurrent", "hold", "balance", "settled",
    "spent_day", "spent_month", "spent_life", "purse_hold",
    "member_day", "member_month", "member_life", "member_hold",
    "brake_spend", "brake_on_hold", "brake_loop", "session_budget", "session_on_hold",
    "overflow_month", "overflow_hold",
]  # fmt: skip
Window = tuple[str, int, int, int]  # name, limit, used, ms until it resets

# In the order of their numbers.
_STATUS: tuple[Status, ...] = (
    *("ok", "outdated", "stale", "cold", "unseeded", "refused"),
    *("settled", "already", "alive", "unknown", "inside"),
)
_BINDING: tuple[Binding, ...] = (
    *("", "rpm", "5h", "daily", "weekly", "monthly", "concurrent", "hold", "balance", "settled"),
    *("spent_day", "spent_month", "spent_life", "purse_hold"),
    *("member_day", "member_month", "member_life", "member_hold"),
    *("brake_spend", "brake_on_hold", "brake_loop", "session_budget", "session_on_hold"),
    *("overflow_month", "overflow_hold"),
)
LENGTHS_MS = (18_000_000, 86_400_000, 604_800_000, 2_592_000_000)
_FIVE_HOURS, _DAY, _WEEK, _MONTH = LENGTHS_MS
_MINUTE = 60_000_000  # microseconds
_NONE = Caps()
_NOW = Struct(">q")
_STATE = Struct(">BBqqqqqIIqqIqIqIqI")


class Limits(NamedTuple):
    """How many requests a window, and how many at once. 0 = no such limit."""

    rpm: int = 0
    five_hours: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    concurrent: int = 0

    def times(self, n: int) -> "Limits":
        """All of them n times as large."""
        return Limits(
            self.rpm * n,
            self.five_hours * n,
            self.daily * n,
            self.weekly * n,
            self.monthly * n,
            self.concurrent * n,
        )


class State(NamedTuple):
    """Where a subject and its account stand, as the last script left them.

    `binding` names what refused: of several limits the one that frees last. `windows` are rpm, 5h,
    daily, weekly and monthly; `spend` is told of a purse with caps, `member` of a member's, `past`
    past a window: what its overflow has spent, and holds. `now` is Redis's clock in microseconds.
    `outdated` tells `now` alone; `stale`, `cold`, `unseeded`, `inside` nothing but
    themselves.
    """

    status: Status
    binding: Binding = ""
    retry_after_ms: int = 0
    hold: int = 0
    balance: int = 0
    held: int = 0
    active: int = 0
    now: int = 0
    windows: tuple[Window, ...] = ()
    spend: tuple[Spend, ...] = ()
    member: tuple[Spend, ...] = ()
    past: tuple[int, ...] = ()

    @property
    def available(self) -> int:
        """What the account can still spend; below zero if a cost exceeded its hold."""
        return self.balance - self.held


# All of its fields in their order, twice a request: a third of the time that `State(...)` takes.
_state: Callable[[tuple[Any, ...]], State] = partial(tuple.__new__, State)


def state(
    reply: bytes, limits: Limits, caps: Caps, member: Caps = _NONE, past: bool = False
) -> State:
    """The answer of admit.lua or settle.lua."""
    if len(reply) < _STATE.size:
        now = _NOW.unpack_from(reply, 1)[0] if len(reply) > 1 else 0
        return State(_STATUS[reply[0]], now=now)
    (
        status, binding, wait, hold, balance, held, now, active, logged, oldest,
        since_5h, used_5h, since_day, used_day, since_week, used_week, since_month, used_month,
    ) = _STATE.unpack_from(reply)  # fmt: skip
    rpm, five_hours, daily, weekly, monthly, _ = limits
    ms = now // 1000
    # A clock set back must not promise a reset further away than a window is long.
    minute = -(-(left if (left := oldest + _MINUTE - now) < _MINUTE else _MINUTE) // 1000)
    in_5h = left if (left := since_5h + _FIVE_HOURS - ms) < _FIVE_HOURS else _FIVE_HOURS
    in_day = left if (left := since_day + _DAY - ms) < _DAY else _DAY
    in_week = left if (left := since_week + _WEEK - ms) < _WEEK else _WEEK
    in_month = left if (left := since_month + _MONTH - ms) < _MONTH else _MONTH
    windows = (
        ("rpm", rpm, logged, minute if oldest else 0),
        ("5h", five_hours, used_5h, in_5h if since_5h else 0),
        ("daily", daily, used_day, in_day if since_day else 0),
        ("weekly", weekly, used_week, in_week if since_week else 0),
        ("monthly", monthly, used_month, in_month if since_month else 0),
    )
    spend: tuple[Spend, ...] = ()
    theirs: tuple[Spend, ...] = ()
    overflow: tuple[int, ...] = ()
    if len(reply) > _STATE.size:  # of a purse, a member's, an overflow
        spend = standing(reply, _STATE.size, caps, ms) if caps.any else ()
        theirs = standing(reply, len(reply) - PACKED, member, ms) if member.any else ()
        if past:
            at = _STATE.size + (PACKED if caps.any else 0)
            overflow = OVERFLOW.unpack_from(reply, at)
    return _state((
        _STATUS[status], _BINDING[binding], wait, hold, balance, held, active, now, windows,
        spend, theirs, overflow,
    ))  # fmt: skip
