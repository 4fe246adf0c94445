"""Every object has the shape Stripe publishes, and every event a name Stripe knows.

`schema.json` holds, for each object we use, the fields Stripe's OpenAPI description requires and
those optional ones we send (`name?`), with their types: `null|string`, `string:a,b` for an
enumeration, and a nested hash whose `""` is its own type.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from stripe._object_classes import get_object_class

from tests.sandbox.stripe.conftest import World
from tests.sandbox.stripe.test_checkout import start, submit
from tests.sandbox.stripe.test_payment_intents import pay
from tests.sandbox.stripe.test_subscriptions import Shop

SCHEMA = json.loads(Path(__file__).with_name("schema.json").read_text())["objects"]
SOURCE = Path(__file__).parents[3] / "sandbox" / "stripe"


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "list" if value.get("object") == "list" else "object"


def problems(value: Any, schema: Any, path: str) -> list[str]:
    """Where `value` is not what `schema` says."""
    own = schema[""] if isinstance(schema, dict) else schema
    types, _, options = own.partition(":")
    found = type_of(value)
    if found not in types.split("|") and "any" not in types:
        return [f"{path} is {found}, not {types}"]
    if options and found == "string" and value not in options.split(","):
        return [f"{path} is {value!r}, not one of {options}"]
    if not isinstance(schema, dict):
        return []
    if isinstance(value, list):
        return [p for item in value for p in problems(item, schema | {"": "object"}, f"{path}[]")]
    if isinstance(value, dict) and not known(value):
        return fields(value, schema, path)
    return []


def known(value: dict[str, Any]) -> bool:
    """An expanded object is checked by its own entry."""
    kind = value.get("object")
    return isinstance(kind, str) and kind in SCHEMA


def fields(value: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    allowed = {name.rstrip("?") for name in schema if name}
    wrong = [f"{path}.{name} is unknown" for name in value.keys() - allowed]
    for name, inner in schema.items():
        plain = name.rstrip("?")
        if plain and plain in value:
            wrong += problems(value[plain], inner, f"{path}.{plain}")
        elif name and plain == name:
            wrong.append(f"{path}.{name} is missing")
    return wrong


def objects_in(value: Any) -> list[dict[str, Any]]:
    """Every object of a known kind, at any depth."""
    if isinstance(value, list):
        return [found for item in value for found in objects_in(item)]
    if not isinstance(value, dict):
        return []
    inner = [found for item in value.values() for found in objects_in(item)]
    return inner + ([value] if known(value) and not value.get("deleted") else [])


def live_through_everything(world: World) -> None:
    """Whatever makes another kind of object, or the same kind in another state."""
    shop = Shop(world)
    world.control("tax", basis_points=825)
    subscription = shop.subscribe(shop.basic, shop.addon, automatic_tax={"enabled": True})
    shop.half_way(subscription)
    shop.upgrade(subscription, shop.premium)
    shop.upgrade(subscription, shop.basic, proration_behavior="always_invoice")
    shop.give_card("pm_card_chargeCustomerFail")
    waiting = {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice"}
    shop.upgrade(subscription, shop.premium, **waiting)
    shop.give_card("pm_card_visa")
    shop.subscribe(shop.premium, payment_behavior="default_incomplete")
    shop.subscribe(shop.premium, trial_period_days=7)
    world.advance(days=40)
    shop.stripe.subscriptions.cancel(subscription.id)
    data = {"invoice_creation": {"enabled": True}, "automatic_tax": {"enabled": True}}
    submit(world, start(world, **data), "pm_card_visa")
    submit(world, start(world), "pm_usBankAccount_success")
    submit(world, start(world), "pm_card_authenticationRequired")
    setup = start(world, mode="setup", line_items=[], customer=shop.alice)
    submit(world, setup, "pm_card_visa")
    start(world)
    with pytest.raises(stripe.CardError):
        pay(world, "pm_card_chargeDeclined")
    pay(world, "pm_card_authenticationRequired")
    refunded = pay(world, "pm_card_refundFail")
    world.stripe.refunds.create({"payment_intent": refunded.id, "amount": 100})
    pay(world, "pm_card_createDispute")
    world.control(f"disputes/{world.stripe.disputes.list().data[0].id}", outcome="won")
    world.advance(days=4)  # it is paid out
    fields = {"customer": shop.alice, "amount": 700, "currency": "usd"}
    world.stripe.invoice_items.create(fields)
    hook = {"url": "http://127.0.0.1:9/", "enabled_events": ["x"]}
    world.stripe.webhook_endpoints.create(hook)
    world.stripe.billing_portal.sessions.create({"customer": shop.alice})
    world.advance(days=2)


LISTS = {
    "balance_transactions": "data.source",
    "charges": "data.refunds",
    "checkout/sessions": "data.line_items",
    "customers": "",
    "disputes": "data.charge",
    "events": "",
    "invoice_payments": "data.invoice",
    "invoiceitems": "data.customer",
    "invoices": "data.payments",
    "payment_intents": "data.latest_charge",
    "payouts": "data.balance_transaction",
    "prices": "data.product",
    "products": "",
    "refunds": "data.payment_intent",
    "setup_intents": "data.payment_method",
    "subscriptions": "data.default_payment_method",
    "webhook_endpoints": "",
}


def fetch_everything(world: World) -> list[dict[str, Any]]:
    """All objects as they come over the wire, and copies of them in events."""
    found = [world.http.get("/v1/account").json()]
    for path, expand in LISTS.items():
        params = {"limit": "100", "status": "all"} if path == "subscriptions" else {"limit": "100"}
        params |= {"expand[]": expand} if expand else {}
        answer: httpx.Response = world.http.get(f"/v1/{path}", params=params)
        answer.raise_for_status()
        found += answer.json()["data"]
    for session in world.simulator.store.all("billing_portal.session"):
        found.append({k: v for k, v in session.items() if not k.startswith("_")})
    return objects_in(found)


def test_every_object_has_the_published_shape(world: World) -> None:
    live_through_everything(world)
    found = fetch_everything(world)
    wrong = {p for obj in found for p in fields(obj, SCHEMA[obj["object"]], obj["object"])}
    wrong -= {"invoice.id is missing"}  # as in the event `invoice.upcoming`
    assert not wrong, "\n".join(sorted(wrong))
    assert {obj["object"] for obj in found} == set(SCHEMA)


def test_the_pinned_sdk_knows_every_field() -> None:
    for kind, schema in SCHEMA.items():
        names = {name.rstrip("?") for name in schema}
        assert names <= set(get_object_class("V1", kind).__annotations__), kind


def test_every_event_has_a_name_stripe_knows(world: World) -> None:
    known = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', inspect_event()))
    used = set()
    for module in SOURCE.rglob("*.py"):
        used |= set(re.findall(r'emit\(\s*(?:sim, )?"([^"{]+)"', module.read_text()))
    live_through_everything(world)
    used |= set(world.event_types())
    assert len(used) > 50
    assert used <= known


def inspect_event() -> str:
    return (Path(stripe.__file__).parent / "_event.py").read_text()


def test_the_check_itself_finds_what_is_wrong() -> None:
    refund = {"id": "re_1", "object": "refund", "amount": "ten", "surprise": 1}
    found = fields(refund, SCHEMA["refund"], "refund")
    assert "refund.amount is string, not number" in found
    assert "refund.surprise is unknown" in found
    assert "refund.currency is missing" in found
