"""The guard of a purse against programs that run away: a brake on what it spends in ten minutes,
one on the same prompt again and again, and a budget for each session.

All three are decided by admit.lua with everything else, for purses that have one; others pay
nothing. What is kept is Redis's alone: if it is lost, counting begins anew. Nano-dollars.
"""

from datetime import UTC, datetime
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from hontoni import errors
from hontoni.money import dollars

if TYPE_CHECKING:
    from ratelimits.answers import State

SPAN_SECONDS = 600
_PACKED = Struct(">3q")
_LONG_WAIT_SECONDS = 60  # as headers.LONG_WAIT_MS


class Guard(NamedTuple):
    """What one request is held to: dollars in ten minutes, how often a prompt may come in ten
    minutes, and dollars of its session; 0 = not. `prompt` and `session` are digests."""

    purse: str
    spend: int = 0
    loop: int = 0
    budget: int = 0
    prompt: str = ""
    session: str = ""

    @property
    def any(self) -> bool:
        return bool(self.spend or self.loop or self.budget)

    @property
    def packed(self) -> bytes:
        """As admit.lua unpacks it."""
        return _PACKED.pack(self.spend, self.loop, self.budget)

    def keys(self, tag: str) -> tuple[str, str, str]:
        """Of the brake, of the prompt and of the session."""
        return (
            f"{tag}:brake:{self.purse}",
            f"{tag}:loop:{self.purse}:{self.prompt}",
            f"{tag}:session:{self.purse}:{self.session}",
        )


def refusal(state: "State", guard: Guard) -> errors.ApiError:
    """What the guard tells an agent: what happened, and when it ends."""
    match state.binding:
        case "brake_spend":
            return _ends(
                state,
                "key_brake_spend",
                f"This API key may spend ${dollars(guard.spend)} in ten minutes, and that is spent"
                ", or this request could cost more than the rest",
                dollars(guard.spend),
            )
        case "brake_loop":
            return _ends(
                state,
                "key_brake_loop",
                f"This very prompt was sent {guard.loop} times within ten minutes, as often as "
                "this API key may: it looks like a loop. Another prompt is served",
                guard.loop,
            )
        case "session_budget":
            return errors.Forbidden(
                f"This session has spent its budget of ${dollars(guard.budget)}, or this request "
                "could cost more than the rest. It does not free by itself: begin another "
                "session, or have the owner of the key raise the budget.",
                code="key_session_budget",
                headers={"x-should-retry": "false"},
                details={
                    "limit": "key_session_budget",
                    "allowed": dollars(guard.budget),
                    "frees_at": None,
                },
            )
    return errors.RateLimited(
        "Requests that are still running hold what the brake or the session's budget of this API "
        "key leaves. Try again in 2 seconds.",
        code="key_guard_on_hold",
        headers={"Retry-After": "2"},
    )


def _ends(state: "State", code: str, what: str, allowed: int | str) -> errors.RateLimited:
    """Of a brake, which lets go again; or never, where one request alone is beyond it."""
    if not state.retry_after_ms:
        return errors.RateLimited(
            f"{what}. Waiting does not help: ask for fewer max_tokens, or have the owner of the "
            "key change its guard.",
            code=code,
            headers={"x-should-retry": "false"},
            details={"limit": code, "allowed": allowed, "frees_at": None},
        )
    seconds = -(-state.retry_after_ms // 1000)
    frees = datetime.fromtimestamp(state.now // 1_000_000 + seconds, UTC)
    headers = {"Retry-After": str(seconds)}
    if seconds > _LONG_WAIT_SECONDS:
        headers["x-should-retry"] = "false"
    return errors.RateLimited(
        f"{what}. The brake lets go in {seconds} seconds, at {frees:%Y-%m-%d %H:%M:%S} UTC, or "
        "when the owner of the key changes its guard.",
        code=code,
        headers=headers,
        details={"limit": code, "allowed": allowed, "frees_at": f"{frees:%Y-%m-%dT%H:%M:%SZ}"},
    )
