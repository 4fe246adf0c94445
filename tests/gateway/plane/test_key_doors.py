"""What a key tells about itself and its account, and what it may not do without a scope."""

from typing import Any

import pytest

from accounts.keys import api_keys, scopes
from accounts.keys.restrictions import Restrictions
from hontoni.money import DOLLAR, nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person

CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "Hello world"}],
}


def test_a_key_tells_where_it_stands(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    api_keys.change(alice.key, daily_cap=5 * DOLLAR, allowed_models=["gpt-4o"])
    with gateway.http(alice) as client:
        paid = client.post("/v1/chat/completions", json=CHAT)
        reply = client.get("/v1/key")
    found, cost = reply.json(), nanos(paid.headers["x-hontoni-cost"])
    assert (found["name"], found["last4"]) == ("laptop", alice.raw[-4:])
    assert alice.raw not in reply.text
    assert nanos(found["balance"]) == 10 * DOLLAR - cost == nanos(found["available"])
    assert nanos(found["caps"]["day"]["spent"]) == cost
    assert nanos(found["caps"]["day"]["remaining"]) == 5 * DOLLAR - cost
    assert found["caps"]["day"]["resets_at"].endswith("T00:00:00Z")
    assert set(found["caps"]) == {"day"}
    assert found["allowed_models"] == ["gpt-4o"] and found["scopes"] == ["inference", "usage:read"]
    minute = found["windows"]["rpm"]
    assert (minute["used"], minute["remaining"]) == (1, minute["limit"] - 1)
    assert minute["resets_at"] and found["concurrent"]["active"] == 0
    assert reply.headers["x-ratelimit-remaining-rpm"] == str(minute["remaining"])
    assert len(gateway.books()) == 1


@pytest.mark.parametrize("prefix", ["/v1", "/v1/v1"])
def test_a_key_tells_what_its_account_used(
    gateway: Gateway, alice: Person, bob: Person, prefix: str
) -> None:
    fund(alice, "10")
    fund(bob, "10")
    with gateway.http(alice) as client:
        paid = [client.post("/v1/chat/completions", json=CHAT) for _ in range(2)]
    with gateway.http(bob) as client:
        client.post("/v1/chat/completions", json=CHAT)
    gateway.books()
    cost = sum(nanos(each.headers["x-hontoni-cost"]) for each in paid)
    with gateway.http(alice) as client:
        for by, name, value in (
            ("model", "model", "gpt-4o"),
            ("member", "member", "alice@example.com"),
            ("key", "key_id", alice.key.pk),
        ):
            found = client.get(f"{prefix}/usage", params={"group_by": by}).json()
            (row,) = found["data"]
            assert (row[name], row["requests"], nanos(row["cost"])) == (value, 2, cost)
            assert nanos(found["total"]["cost"]) == cost
        (day,) = client.get(f"{prefix}/usage").json()["data"]
    assert day["output_tokens"] > 0 and len(day["day"]) == 10


@pytest.mark.parametrize(
    "query",
    ["group_by=hour", "from=yesterday", "from=2026-02-01&to=2026-01-01", "days=3"],
)
def test_a_question_that_cannot_be_understood_is_refused(
    gateway: Gateway, alice: Person, query: str
) -> None:
    with gateway.http(alice) as client:
        assert client.get(f"/v1/usage?{query}").status_code == 400


DOORS = [
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/messages", CHAT),
    ("POST", "/v1/responses", {"model": "gpt-4o", "input": "hi"}),
    ("POST", "/v1/messages/count_tokens", CHAT),
    ("POST", "/v1/estimate", CHAT),
    ("GET", "/v1/models", None),
    ("GET", "/v1/responses/resp_x", None),
]


def test_a_key_without_inference_asks_no_model(gateway: Gateway, alice: Person) -> None:
    """Nor does one that has lost it meanwhile, from the next request on."""
    fund(alice, "10")
    with gateway.http(alice) as client:
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        api_keys.change(alice.key, scopes=[scopes.USAGE])
        for method, path, body in DOORS:
            reply = client.request(method, path, json=body)
            assert (reply.status_code, path) == (403, path)
            assert reply.json()["error"]["code"] == "scope_missing"
        assert client.get("/v1/usage").status_code == 200
        api_keys.change(alice.key, scopes=[scopes.INFERENCE])
        assert client.get("/v1/usage").json()["error"]["details"]["scope"] == "usage:read"
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        assert client.get("/v1/key").json()["scopes"] == ["inference"]
    assert len(gateway.vendors.requests) == 2


def test_a_key_that_was_made_without_inference_never_reaches_a_vendor(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    raw = api_keys.mint(alice.user, "reader", None, Restrictions(scopes=(scopes.USAGE,)))[1]
    with gateway.http(alice) as client:
        reply = client.post(
            "/v1/chat/completions", json=CHAT, headers={"Authorization": f"Bearer {raw}"}
        )
    assert reply.status_code == 403 and gateway.vendors.requests == []
