"""Where a key's limits stand now, when each window resets, and when it runs out at this pace."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from accounts.keys import restrictions
from accounts.models import ApiKey
from billing.plans.terms import terms
from gateway.stores.rebuilding import rebuild
from gateway.usage import spending
from ratelimits import limiter
from ratelimits.headers import LENGTHS
from ratelimits.limiter import Ask, State, Window
from ratelimits.purses import Caps, Spend


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit. A limit of 0 means there is none; spend caps are nano-dollars. `empties_at` is a
    forecast, by the pace so far; None if the window resets before, or has only just opened."""

    name: str
    limit: int
    used: int
    opened_at: datetime | None = None
    resets_at: datetime | None = None
    empties_at: datetime | None = None

    @property
    def is_money(self) -> bool:
        return self.name.startswith(("spend_", "member_"))

    @property
    def percent(self) -> int:
        return min(100, self.used * 100 // self.limit) if self.limit else 0

    @property
    def level(self) -> str:
        """`full`, `high` (four fifths, or empty before it resets) or `fine`."""
        if self.limit and self.used >= self.limit:
            return "full"
        return "high" if self.percent >= 80 or self.empties_at else "fine"


def of_key(key: ApiKey) -> list[Gauge]:
    """The five windows, the concurrency and the spend caps of a key. Raises errors.Unavailable."""
    state, concurrent = _state(key)
    now = datetime.fromtimestamp(state.now / 1_000_000, UTC)
    running = Gauge("concurrent", concurrent, state.active)
    caps = [_cap(spend, now) for spend in state.spend if spend.cap]
    caps += [_cap(spend, now, "member") for spend in state.member if spend.cap]
    return [*(gauge(window, now) for window in state.windows), running, *caps]


def _member(key: ApiKey) -> Caps:
    return Caps(key.member.purse, *restrictions.caps(key.member)) if key.member else Caps()


def _state(key: ApiKey) -> tuple[State, int]:
    """Where its limits stand, and how many requests may run at once."""
    # A terms change between our reads makes it stale; an unused account is cold.
    for _ in range(4):
        found = terms(key.user_id)
        key.user.refresh_from_db(fields=["terms_version"])
        ask = Ask(
            request_id="look",
            account=key.user_id,
            subject=key.subject if found.subject == "key" else f"a{key.user_id}",
            limits=found.limits,
            terms_version=key.user.terms_version,
            credits=found.credits_total,
            credits_version=found.credits_version,
            full=0,
            floor=0,
            lease_ms=0,
            caps=Caps(key.purse, *restrictions.caps(key)),
            member=_member(key),
            reset=found.reset,
        )
        state = limiter.look_sync(ask)
        if state.status in ("ok", "refused"):
            break
        if state.status == "cold":
            rebuild(key.user_id)
        elif state.status == "unseeded":
            spending.seed(key.pk)
    return state, found.limits.concurrent


def gauge(window: Window, now: datetime) -> Gauge:
    """One window of the limiter as people read it."""
    name, limit, used, reset_ms = window
    if not used or name == "rpm":  # the minute slides: it neither opens nor runs out
        return Gauge(name, limit, used)
    resets_at = now + timedelta(milliseconds=reset_ms)
    opened_at = resets_at - timedelta(seconds=LENGTHS[name])
    empties_at = _forecast(limit, used, opened_at, now, resets_at)
    return Gauge(name, limit, used, opened_at, resets_at, empties_at)


def _cap(spend: Spend, now: datetime, of: str = "spend") -> Gauge:
    """A spend cap; what is held counts, since it cannot be spent otherwise."""
    used = spend.spent + spend.held
    if not spend.reset_ms:
        return Gauge(f"{of}_{spend.period}", spend.cap, used)  # of its life: it never resets
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as the script counts
    resets_at = now + timedelta(milliseconds=spend.reset_ms)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    opened_at = midnight if spend.period == "day" else midnight.replace(day=1)
    empties_at = _forecast(spend.cap, used, opened_at, now, resets_at)
    return Gauge(f"{of}_{spend.period}", spend.cap, used, opened_at, resets_at, empties_at)


def _forecast(
    limit: int, used: int, opened_at: datetime, now: datetime, resets_at: datetime
) -> datetime | None:
    """When it is empty at the pace so far; None if it resets before.

    A pace measured over a moment tells nothing: a twentieth of the window has to have passed.
    """
    if not used or used >= limit or (now - opened_at) * 20 < resets_at - opened_at:
        return None
    seconds = (now - opened_at).total_seconds() * (limit - used) / used
    early = seconds < (resets_at - now).total_seconds()
    return now + timedelta(seconds=seconds) if early else None
