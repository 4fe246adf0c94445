"""Vendors tell our customers apart without knowing them, and keep nothing unless they may."""

from typing import Any

import pytest
from django.test import Client

from gateway.plane import end_users
from tests.gateway_server import Gateway, fund
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database

HELLO = [{"role": "user", "content": "Hello"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"messages": HELLO, "max_tokens": 50},
}
LANES = [(path, model) for path in BODIES for model in ("gpt-4o", "gpt-5.2", "claude-sonnet-4")]


@pytest.fixture(autouse=True)
def _funds(alice: Person, bob: Person) -> None:
    fund(alice, "10")
    fund(bob, "10")


def ask(gateway: Gateway, person: Person, path: str, model: str, **more: Any) -> dict[str, Any]:
    """What the vendor was sent."""
    with gateway.http(person) as http:
        answer = http.post(path, json={"model": model, **BODIES[path], **more})
    assert answer.status_code == 200, answer.text
    sent: dict[str, Any] = gateway.vendors.last.body
    return sent


def called(sent: dict[str, Any]) -> str:
    """Whom the vendor was told of."""
    told = sent.get("safety_identifier") or sent.get("user") or sent["metadata"]["user_id"]
    return str(told)


@pytest.mark.parametrize("path, model", LANES)
def test_every_lane_tells_of_whom(
    gateway: Gateway, alice: Person, bob: Person, path: str, model: str
) -> None:
    hers, his = (called(ask(gateway, who, path, model)) for who in (alice, bob))
    assert hers == end_users.pseudonym(alice.user.pk) != his
    assert str(alice.user.pk) != hers and "alice" not in hers


@pytest.mark.parametrize(
    "path, model, told",
    [
        ("/v1/chat/completions", "gpt-4o", {"safety_identifier": "mine"}),
        ("/v1/chat/completions", "gpt-4o", {"user": "mine"}),
        ("/v1/responses", "gpt-5.2", {"safety_identifier": "mine"}),
        ("/v1/messages", "claude-sonnet-4", {"metadata": {"user_id": "mine"}}),
    ],
)
def test_what_the_client_says_of_its_users_stays(
    gateway: Gateway, alice: Person, path: str, model: str, told: dict[str, Any]
) -> None:
    sent = ask(gateway, alice, path, model, **told)
    assert sent.items() >= told.items()
    assert called(sent) == "mine"


def test_metadata_without_a_user_gets_ours(gateway: Gateway, alice: Person) -> None:
    sent = ask(gateway, alice, "/v1/messages", "claude-sonnet-4", metadata={})
    assert sent["metadata"] == {"user_id": end_users.pseudonym(alice.user.pk)}


@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hello"}),
        ("/v1/images/generations", {"model": "gpt-image-1", "prompt": "A cat", "quality": "low"}),
        ("/v1/completions", {"model": "gpt-4o", "prompt": "Hello"}),
        (
            "/v1beta/models/text-embedding-3-small:embedContent",
            {"content": {"parts": [{"text": "Hello"}]}},
        ),
        (
            "/v1beta/models/gpt-4o:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
        ),
    ],
)
def test_so_do_those_that_are_no_conversation_and_googles_door(
    gateway: Gateway, alice: Person, path: str, body: dict[str, Any]
) -> None:
    with gateway.http(alice) as http:
        answer = http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert called(gateway.vendors.last.body) == end_users.pseudonym(alice.user.pk)
        if path == "/v1/embeddings":
            http.post(path, json={**body, "user": "mine"})
            assert called(gateway.vendors.last.body) == "mine"


def test_tokens_are_counted_as_before(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as http:
        body = {"model": "claude-sonnet-4", "messages": HELLO}
        assert http.post("/v1/messages/count_tokens", json=body).status_code == 200
    assert "metadata" not in gateway.vendors.last.body  # the dialect has no place for it there


# -- Storing -------------------------------------------------------------------------------------

STORING = [("/v1/chat/completions", "gpt-4o"), ("/v1/responses", "gpt-5.2")]


@pytest.mark.parametrize("path, model", STORING)
def test_nothing_is_stored_until_the_account_says_so(
    gateway: Gateway, alice: Person, path: str, model: str
) -> None:
    assert ask(gateway, alice, path, model)["store"] is False
    assert ask(gateway, alice, path, model, store=True)["store"] is False
    api = alice.client()
    assert api.get("/api/auth/me/privacy").json() == {
        "vendors_may_store": False,
        "keeps_responses": True,
    }
    told = api.patch("/api/auth/me/privacy", {"vendors_may_store": True}, format="json")
    assert told.json()["vendors_may_store"] is True
    assert ask(gateway, alice, path, model, store=True)["store"] is True
    assert ask(gateway, alice, path, model)["store"] is False
    browser = Client()
    browser.post("/account/login/", {"login": alice.user.email, "password": PASSWORD})
    assert "vendors_may_store" in browser.get("/account").content.decode()
    browser.post("/account/privacy", {})
    assert ask(gateway, alice, path, model, store=True)["store"] is False


def test_what_points_at_a_stored_answer_is_refused_all_the_same(
    gateway: Gateway, alice: Person
) -> None:
    alice.client().patch("/api/auth/me/privacy", {"vendors_may_store": True}, format="json")
    body = {"model": "gpt-5.2", "input": "Hi", "previous_response_id": "resp_1"}
    with gateway.http(alice) as http:
        assert http.post("/v1/responses", json=body).status_code == 400
