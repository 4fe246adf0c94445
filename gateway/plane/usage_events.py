"""The usage event of a request: what settlement writes into the books, and the receipt tells.

`gateway/usage/events.py` says how it is spelled; the values here are in the order of its FIELDS.
"""

import time
from typing import Any

from gateway.catalogue.snapshot import stand
from gateway.dialects.ir import Usage
from gateway.metering import bill
from gateway.plane.call import Call
from gateway.plane.life import Hearing
from gateway.usage import events


def draft(call: Call) -> bytes:
    """The event to settle with if not even a heartbeat is heard of this request: who asked
    for what. The rest is UsageEvent's defaults."""
    details = {"price_read_at": call.price_read_at} | _overflow(call)
    return events.packed(*_of_request(call, "process_lost"), details)


def event(call: Call, *, lost: bool = False) -> bytes:
    """The usage event: the values of events.FIELDS. `lost` makes it the one to settle with if
    nothing is heard of this process again."""
    now = time.time()
    usage = call.usage or _NOTHING
    return events.packed(
        *_of_request(call, "process_lost" if lost else call.error),
        _details(call),
        *usage,
        call.cost,
        call.held,
        call.estimated,
        call.aborted,
        500 if lost else call.status,
        call.upstream_status,
        _upstream_id(call)[:200],
        _milliseconds(call, call.first_byte),
        _milliseconds(call, now),
        call.http.header(b"user-agent")[:200],
    )


def _of_request(call: Call, error: str) -> tuple[Any, ...]:
    """Who asked for what, and what went wrong."""
    request, caller = call.request, call.caller
    return (
        call.http.request_id[4:],
        caller.account,
        caller.key_id,
        request.model.id,
        request.name[:200],
        request.model.price.id,
        request.dialect.name,
        call.stream,
        call.began,
        error,
        call.ip,
    )


_NOTHING = Usage()


def _upstream_id(call: Call) -> str:
    """The vendor's id of the request; Google has one only in its answers."""
    return call.upstream_request_id or (call.tap.upstream_id if call.tap else "")


def _milliseconds(call: Call, until: float | None) -> int | None:
    return None if until is None else max(0, int((until - call.began) * 1000))


def _details(call: Call) -> dict[str, Any]:
    details: dict[str, Any] = {
        "price_read_at": call.price_read_at,
        "admitted_at": call.admitted_at,
    } | _overflow(call)
    if call.earmark is not None:
        details["batch"] = call.earmark[0]  # it counts in no window of its key's
    if call.caller.caps.any or call.caller.member.any:
        details["caps"] = True  # settlement looks whether one is reached
    if call.ask is not None and call.ask.guard is not None and call.ask.guard.session:
        details["session"] = call.ask.guard.session  # a dead gateway's is settled by it
    if not call.reached:
        details["given_back"] = True  # it counts in no window
    if call.clamps:
        details["clamps"] = call.clamps
    if call.state is not None:
        details["windows"] = call.state.windows
        details["windows_at"] = call.state.now // 1000
    if call.lane.dialect != call.request.dialect.name:
        details["upstream_dialect"] = call.lane.dialect
    if call.attempts:
        details["attempts"] = [attempt.as_dict() for attempt in call.attempts]
    if call.rounds:
        details["rounds"] = call.rounds
    lines = call.lines(call.usage or Usage())
    if not bill.is_plain(lines):
        details["lines"] = [line.as_dict() for line in lines]
    if call.lane.sifted.left_out:
        details["left_out"] = call.lane.sifted.left_out
    if call.quarantined is not None:
        details["quarantine"] = call.quarantined._asdict()
    if call.capped:
        details["capped"] = (call.usage or Usage())._asdict()
    if call.full not in (None, call.usage) and call.quarantined is None:
        assert call.full is not None
        details["full"] = call.full._asdict()  # the vendor bills it, the customer is not
    if call.mine is not None:
        details["own_key"] = {"provider": call.mine.key.name}
        if call.fell_back:
            details["own_key"]["fell_back"] = call.fell_back
    if (gone := call.request.variant.instead_of) is not None:
        details["instead_of"] = stand(call.model, gone, call.request.account).as_dict()
    if rule := _rule(call):
        details["rule"] = rule
    if call.gift:
        details["gift"] = call.gift  # of the day's allowance
    return details


def _overflow(call: Call) -> dict[str, Any]:
    """Which window it went past, and for how many basis points more: it counts in none."""
    if call.past is None:
        return {}
    return {"overflow": {"window": call.past.binding, "surcharge": call.caller.surcharge}}


def _rule(call: Call) -> str:
    """Which rule made the bill something else than the vendor's numbers of a whole answer; ""
    for none. docs/70-fair-billing.md explains them."""
    if call.quarantined is not None and call.cost:
        return "quarantined"
    if call.capped:
        return "capped"
    if call.bound:
        return "bound"
    if call.tap is not None and call.tap.stopped:
        return "stop"
    if call.gift and not call.cost:
        return "given"
    if call.hearing is Hearing.DRAINED:
        return "drained"
    if call.estimated:
        seen = not call.hidden and not call.unseen_work().turns
        return "left" if call.aborted and seen else "estimated"
    return "left" if call.aborted and call.cost else ""
