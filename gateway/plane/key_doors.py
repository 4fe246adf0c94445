"""What a key may ask about itself: `GET /v1/key` and `GET /v1/usage`, free."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from accounts.keys import api_keys, restrictions, scopes
from billing.plans.terms import plan_of
from gateway.plane import admission
from gateway.plane.callers import Caller
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from gateway.usage import overflow, summary
from hontoni import freshness
from hontoni.errors import BadRequest, Unauthenticated
from hontoni.money import dollars
from ratelimits.limiter import State
from ratelimits.purses import Spend


async def key(http: Exchange, _: Upstream) -> None:
    """Where the key and its account stand now. Raises ApiError."""
    caller = await admission.enter(http, scopes.ANY)
    known = await freshness.query(_known, caller.digest)
    await http.respond_json(known | _standing(caller, http.state))


def _known(digest: bytes) -> dict[str, Any]:
    found = api_keys.find(digest)
    if found is None:
        raise Unauthenticated("Invalid API key provided.")
    plan, multiplier = plan_of(found.user_id)
    return {
        "object": "key",
        "id": found.pk,
        "name": found.name,
        "prefix": found.prefix,
        "last4": found.last4,
        "scopes": found.scopes,
        "plan": plan.slug,
        "limits_times": multiplier,
        "created_at": _moment(found.created_at),
        "expires_at": _moment(found.expires_at),
        "member": found.member.person.email if found.member else None,
        "allowed_models": restrictions.models_of(found) or None,
        "allowed_ips": [str(each) for each in restrictions.networks_of(found)] or None,
        "overflow": overflow.standing(found, plan, datetime.now(UTC)),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _standing(caller: Caller, state: State | None) -> dict[str, Any]:
    """Balance, windows and caps. Money in dollars, as decimal strings; null where there is no
    limit."""
    if state is None:
        nothing = {"balance": None, "available": None, "held": None}
        return {**nothing, "windows": {}, "caps": {}, "member_caps": {}}
    now = state.now // 1000
    return {
        "currency": "USD",
        "balance": dollars(state.balance),
        "available": dollars(state.available),
        "held": dollars(state.held),
        "windows": {
            name: {
                "limit": limit or None,
                "used": used,
                "remaining": max(limit - used, 0) if limit else None,
                "resets_at": _at(now, reset),
            }
            for name, limit, used, reset in state.windows
        },
        "concurrent": {"limit": caller.limits.concurrent or None, "active": state.active},
        "caps": _caps(state.spend, now),
        "member_caps": _caps(state.member, now),
    }


def _caps(spends: Iterable[Spend], now: int) -> dict[str, Any]:
    return {
        each.period: {
            "cap": dollars(each.cap),
            "spent": dollars(each.spent),
            "held": dollars(each.held),
            "remaining": dollars(max(each.cap - each.spent - each.held, 0)),
            "resets_at": _at(now, each.reset_ms),
        }
        for each in spends
        if each.cap
    }


def _at(now: int, reset_ms: int) -> str | None:
    """When that is over; both in milliseconds. None where nothing is open."""
    return _moment(datetime.fromtimestamp(-(-(now + reset_ms) // 1000), UTC)) if reset_ms else None


async def usage(http: Exchange, _: Upstream) -> None:
    """What the account used, by day, model, key or member. Raises ApiError."""
    caller = await admission.enter(http, scopes.USAGE)
    first, last, by = _wanted(http.query())
    found = await freshness.query(summary.answer, caller.account, first, last, by)
    await http.respond_json(found)


def _wanted(query: dict[str, str]) -> tuple[date | None, date | None, str]:
    """The days (UTC, both included) and the grouping. Raises BadRequest."""
    if unknown := sorted(query.keys() - {"from", "to", "group_by"}):
        raise BadRequest(f"There is no parameter {unknown[0][:50]} here.", param=unknown[0][:50])
    by = query.get("group_by", "day")
    if by not in summary.GROUPS:
        raise BadRequest(f"group_by is one of {', '.join(summary.GROUPS)}.", param="group_by")
    return _day(query, "from"), _day(query, "to"), by


def _day(query: dict[str, str], name: str) -> date | None:
    if name not in query:
        return None
    try:
        return date.fromisoformat(query[name])
    except ValueError:
        raise BadRequest(f"{name} is a day such as 2026-11-30.", param=name) from None
