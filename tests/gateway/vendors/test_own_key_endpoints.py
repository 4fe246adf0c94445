"""A customer's own key for what is no conversation: embeddings, judgements, pictures and sound."""

from typing import Any

import pytest

from gateway.usage.models import UsageEvent
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import keeping
from gateway.vendors.own_keys.models import OwnKey
from hontoni.money import nanos
from sandbox.vendors.recorder import hashed
from tests.gateway.plane.endpoints.test_endpoints import post, recording
from tests.gateway.vendors.own_keys import SECRET, charge, offer
from tests.gateway.vendors.test_failover import error
from tests.gateway.vendors.world import tried
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

PICTURE = {"model": "gpt-image-1", "prompt": "A boat.", "quality": "low", "size": "1024x1024"}
SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Chào Hà Nội!"}
EMBEDDED = {"model": "text-embedding-3-small", "input": "Xin chào."}


def asked(gateway: Gateway, alice: Person, what: str) -> Any:
    if what == "heard":
        with gateway.http(alice) as client:
            form = {"model": "whisper-1"}
            sound = {"file": ("a.wav", recording(9))}
            return client.post("/v1/audio/transcriptions", data=form, files=sound)
    path, body = {
        "embedded": ("/v1/embeddings", EMBEDDED),
        "judged": ("/v1/moderations", {"input": "hello"}),
        "drawn": ("/v1/images/generations", PICTURE),
        "spoken": ("/v1/audio/speech", SPEECH),
    }[what]
    return post(gateway, alice, path, **body)


def last(gateway: Gateway) -> UsageEvent:
    return gateway.books()[-1]


@pytest.mark.parametrize(
    ("what", "flat"), [("embedded", 1), ("judged", 0), ("drawn", 1), ("heard", 1), ("spoken", 1)]
)
def test_her_own_key_answers_at_the_fee(
    gateway: Gateway, alice: Person, offered: Vendors, hers: OwnKey, what: str, flat: int
) -> None:
    """Tokens at the fee of a million and a request at its own; what is free stays free."""
    charge("1", "0.001")
    fund(alice, "1")
    answer = asked(gateway, alice, what)
    assert answer.status_code == 200 and answer.headers["x-hontoni-own-key"] == "openai"
    assert gateway.vendors.requests == [] and len(offered.requests) == 1
    assert offered.last.headers["authorization"] == hashed(f"Bearer {SECRET}")
    event = last(gateway)
    assert tried(event.details) == [("own key/openai", 200, "")]
    tokens = (sum(event.usage) * nanos("1") + 500_000) // 1_000_000
    assert event.cost == tokens + flat * nanos("0.001") <= event.hold
    receipt = alice.client().get(f"/api/usage/{event.request_id}").json()
    assert receipt["own_key"]["provider"] == "openai" and receipt["own_key"]["fee"]


def test_googles_door_embeds_by_her_key_as_openais_does(
    gateway: Gateway, alice: Person, first: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first.sandbox, "keys", {SECRET})
    offer(first, "google")
    charge()
    keeping.add(alice.user, "google", SECRET)
    fund(alice, "1")
    body = {"content": {"parts": [{"text": "Xin chào."}]}}
    with gateway.http(alice) as client:
        reply = client.post("/v1beta/models/gemini-embedding-001:embedContent", json=body)
    assert reply.status_code == 200 and reply.headers["x-hontoni-own-key"] == "google"
    other = post(gateway, alice, "/v1/embeddings", model="gemini-embedding-001", input="hi")
    assert other.status_code == 200 and gateway.vendors.requests == []
    assert {each.details["own_key"]["provider"] for each in gateway.books()} == {"google"}


def test_a_key_that_fails_is_told_and_ours_come_behind_it_only_if_chosen(
    gateway: Gateway, alice: Person, offered: Vendors, hers: OwnKey
) -> None:
    fund(alice, "1")
    offered.faults.append(error(429, "rate_limit_error"))
    refused = asked(gateway, alice, "spoken")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "own_key_rate_limited")
    assert gateway.vendors.requests == [] and gateway.balance(alice) == nanos("1")
    keeping.change(hers, falls_back=True)
    offered.faults.append(error(429, "rate_limit_error"))
    answer = asked(gateway, alice, "drawn")
    assert answer.headers["x-hontoni-own-key"] == "openai; fell-back=own_key_rate_limited"
    event = last(gateway)
    assert [each[0] for each in tried(event.details)] == ["own key/openai", "openai/environment"]
    assert nanos("0.01") < event.cost <= event.hold, "at the list's price"
    offered.faults.append(error(401, "authentication_error"))
    assert asked(gateway, alice, "embedded").status_code == 200
    keeping.change(hers, falls_back=False)
    rested = asked(gateway, alice, "embedded")
    assert (rested.status_code, rested.json()["error"]["code"]) == (403, "own_key_refused")
    assert asked(gateway, alice, "heard").status_code == 200, "a breaker is of one model"


def test_where_her_key_has_no_such_endpoint_ours_answer(
    gateway: Gateway, alice: Person, offered: Vendors, hers: OwnKey
) -> None:
    """A host that speaks Chat alone has no embeddings to ask for."""
    Provider.objects.filter(name="openai").update(dialect="openai_chat")
    fund(alice, "1")
    answer = asked(gateway, alice, "embedded")
    assert answer.status_code == 200 and "x-hontoni-own-key" not in answer.headers
    assert len(gateway.vendors.requests) == 1 and offered.requests == []
