"""Asking, leaving, and what the ledger says afterwards."""

from typing import Any

import orjson

from billing.plans import terms
from billing.plans.models import Plan
from gateway.usage.models import UsageEvent
from sandbox.vendors.meter import Bill
from tests.gateway_server import Gateway, settled
from tests.money import law
from tests.money.rows import Rows
from tests.world import Person

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}


def unlimited() -> None:
    """Nobody's plan limits how many requests there are, or how hard they think."""
    plan = Plan.objects.get(is_default=True)
    Plan.objects.update(thinking_budget=64_000, **dict.fromkeys(Plan.LIMITS, 1_000_000))
    terms.apply_plan(Plan.objects.get(pk=plan.pk))


def asked(dialect: str, model: str, text: str, **more: Any) -> dict[str, Any]:
    """A body that asks `text` of a model."""
    if dialect == "responses":
        return {"model": model, "input": text} | more
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    return body | ({"max_tokens": 50_000} if dialect == "messages" else {}) | more


def send(
    gateway: Gateway, person: Person, dialect: str, body: dict[str, Any], *, beta: str = ""
) -> tuple[int, bytes]:
    """The whole answer."""
    headers = {"anthropic-beta": beta} if beta else {}
    with gateway.http(person) as client:
        reply = client.post(PATHS[dialect], content=orjson.dumps(body), headers=headers)
        return reply.status_code, reply.content


def leave(
    gateway: Gateway,
    person: Person,
    dialect: str,
    body: dict[str, Any],
    *,
    after: bytes,
    headers: dict[str, str] | None = None,
) -> bytes:
    """Hang up when the stream has said that."""
    told = b""
    with (
        gateway.http(person) as client,
        client.stream(
            "POST", PATHS[dialect], json=body | {"stream": True}, headers=headers
        ) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        for chunk in reply.iter_raw():
            told += chunk
            if after in told:
                return told
    raise AssertionError(f"it never said {after!r}: {told!r}")


def receipt(gateway: Gateway) -> UsageEvent:
    """The one request there was, when it is in the books."""
    settled(gateway.vendors)
    (event,) = gateway.books()
    return event


def bill(gateway: Gateway) -> Bill:
    """The one answer that the vendors billed."""
    settled(gateway.vendors)
    (found,) = gateway.vendors.sandbox.meter.bills
    return found


def due(gateway: Gateway) -> int:
    """What the vendors' meter says that the one request costs, in nano-dollars."""
    return law.due(Rows.read(), bill(gateway), receipt(gateway))
