"""An agent with the official SDK's client, and what the account's tools tell and do for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from accounts.keys import api_keys, personal_tokens, scopes
from accounts.keys.restrictions import Restrictions
from accounts.models import ApiKey, TeamEvent
from accounts.sign_in import tokens
from accounts.teams import forming
from billing.books import ledger
from billing.plans.terms import plan_of
from gateway.usage import refusals
from hontoni.money import DOLLAR, nanos
from tests.confirmed import confirm
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database
CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "Hello world"}],
}


def token(person: Person, *granted: str) -> str:
    return personal_tokens.mint(person.user, "agent", granted)[1]


def key(person: Person, *granted: str) -> str:
    return api_keys.mint(person.user, "agent", None, Restrictions(scopes=granted))[1]


def with_tools(gateway: Gateway, raw: str, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """What an agent finds that speaks MCP to the product."""

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {raw}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{gateway.url}/mcp", http_client=http)
            async with Client(transport) as client:
                return await work(client)

    return asyncio.run(run())


def call(gateway: Gateway, raw: str, name: str, /, **given: Any) -> Any:
    """What a tool answers; the words of an error."""
    found = with_tools(gateway, raw, lambda client: client.call_tool(name, given))
    (text,) = found.content
    return text.text if found.is_error else found.structured_content


def test_an_agent_asks_why_it_was_refused_and_buys_nothing_without_the_scope(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "30")
    api_keys.change(alice.key, allowed_models=["gpt-4o"])
    reply = gateway.chat(alice, model="claude-sonnet-4")
    assert reply.status_code == 403
    until(lambda: refusals.explaining(alice.user.pk, reply.headers["x-request-id"]))
    asks = token(alice, scopes.USAGE, scopes.BILLING)

    found = call(gateway, asks, "explain_request", request_id=reply.headers["x-request-id"])
    assert (found["outcome"], found["exact"]) == ("refused", True)
    (why,) = found["results"]
    assert why["code"] == "model_not_allowed" and "do not allow this model" in why["explanation"]

    quote = call(gateway, asks, "preview_plan", plan="standard")
    assert nanos(quote["due_now"]) > 0
    refused = call(gateway, asks, "buy_plan", plan="standard", at_most=quote["due_now"])
    assert "lacks the scope billing:write" in refused
    assert ledger.balance(alice.user.pk) == 30 * DOLLAR
    assert plan_of(alice.user.pk)[0].price == 0

    buys = token(alice, scopes.BILLING, scopes.BUYING)
    dear = call(gateway, buys, "buy_plan", plan="standard", at_most="0.01")
    assert "was agreed to" in dear and ledger.balance(alice.user.pk) == 30 * DOLLAR
    bought = call(gateway, buys, "buy_plan", plan="standard", at_most=quote["due_now"])
    assert bought["subscription"]["plan"]["id"] == "standard"
    assert ledger.balance(alice.user.pk) == 30 * DOLLAR - nanos(bought["paid"])


def test_an_agent_asks_what_it_paid_and_what_it_would_pay(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    paid = gateway.chat(alice)
    cost = paid.headers["x-hontoni-cost"]
    gateway.books()
    raw = key(alice, scopes.INFERENCE, scopes.USAGE, scopes.BILLING)
    found = call(gateway, raw, "explain_request", request_id=paid.headers["x-request-id"])
    assert found["outcome"] == "charged" and nanos(found["receipt"]["cost"]) == nanos(cost)
    assert nanos(call(gateway, raw, "balance")["available"]) == 10 * DOLLAR - nanos(cost)
    (row,) = call(gateway, raw, "usage", group_by="model")["data"]
    assert (row["model"], nanos(row["cost"])) == ("gpt-4o", nanos(cost))
    (listed,) = call(gateway, raw, "recent_requests")["results"]
    assert listed["request_id"] == paid.headers["x-request-id"]
    assert call(gateway, raw, "limits")["last4"] == raw[-4:]

    sent = call(gateway, raw, "estimate_cost", request=CHAT)
    assert sent["admitted"] is True and nanos(sent["most_cost"]) > 0
    tokens = {"input_tokens": 100_000, "output_tokens": 0}
    (model,) = call(gateway, raw, "models", search="claude-sonnet-4")["models"][:1]
    each = call(gateway, raw, "estimate_cost", model=model["id"], **tokens)
    assert nanos(each["cost"]) == nanos(each["lines"][0]["cost"]) > 0
    about = call(gateway, token(alice, scopes.USAGE), "estimate_cost", request=CHAT)
    assert nanos(about["least_cost"]) < nanos(about["most_cost"])
    assert nanos(call(gateway, raw, "balance")["available"]) == 10 * DOLLAR - nanos(cost)


def test_equal_refusals_are_told_by_their_moment(gateway: Gateway, alice: Person) -> None:
    replies = [gateway.chat(alice, model="no-such-model") for _ in range(2)]
    until(lambda: refusals.explaining(alice.user.pk, replies[1].headers["x-request-id"]))
    raw = token(alice, scopes.USAGE)
    first, last = (
        call(gateway, raw, "explain_request", request_id=each.headers["x-request-id"])
        for each in replies
    )
    assert (first["exact"], last["exact"]) == (False, True)
    assert {each["results"][0]["code"] for each in (first, last)} == {"model_not_found"}
    assert refusals.explaining(alice.user.pk, f"req_{'0' * 32}") == []


def test_an_agent_makes_and_ends_keys_and_gives_on_no_more_than_it_has(
    gateway: Gateway, alice: Person
) -> None:
    raw = token(alice, scopes.KEYS)
    assert "lacks the scope billing:read" in call(
        gateway, raw, "make_key", name="wide", scopes=["inference", "billing:read"]
    )
    made = call(gateway, raw, "make_key", name="ci", scopes=["inference"], daily_spend_cap="5.00")
    found = ApiKey.objects.get(pk=made["id"])
    assert (found.scopes, found.daily_cap) == (["inference"], 5 * DOLLAR)
    assert api_keys.find(api_keys.digest(made["key"])) == found
    call(gateway, raw, "revoke_key", key_id=made["id"])
    assert gateway.chat(Person(alice.user, found, made["key"])).status_code == 401
    assert {each["status"] for each in call(gateway, raw, "list_keys")["results"]} == {
        *("active", "revoked")
    }
    written = list(TeamEvent.objects.filter(account=alice.user).order_by("pk"))
    assert [each.subject for each in written] == [
        "make_key",
        "make_key",
        "revoke_key",
        "list_keys",
    ]
    assert [each.facts["done"] for each in written] == [False, True, True, True]
    assert made["key"] not in str([each.facts for each in written])


def test_nothing_of_somebody_else_is_told(
    gateway: Gateway, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.mcp.tools._LATE", ())  # nothing of theirs will come
    fund(alice, "5")
    paid = gateway.chat(alice).headers["x-request-id"]
    refused = gateway.chat(alice, model="no-such-model").headers["x-request-id"]
    gateway.books()
    raw = token(bob, *scopes.OF_TOKENS)
    for request_id in (paid, refused):
        assert "has no such request" in call(
            gateway, raw, "explain_request", request_id=request_id
        )
    assert "no such object" in call(gateway, raw, "revoke_key", key_id=alice.key.pk)
    assert gateway.chat(alice).status_code == 200


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nam": "x"}, "no parameter nam"),
        ({}, "name: Field required"),
        ({"name": "x", "daily_spend_cap": "lots"}, "daily_spend_cap"),
        ({"name": "x", "scopes": ["billing:write"]}, "scopes"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    gateway: Gateway, alice: Person, given: dict[str, Any], words: str
) -> None:
    before = ApiKey.objects.count()
    assert words in call(gateway, token(alice, *scopes.OF_TOKENS), "make_key", **given)
    assert ApiKey.objects.count() == before


def test_a_member_asks_for_the_team_and_within_their_role(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    confirm(alice.user)
    team = forming.make(alice.user, "Crew").account
    raw = personal_tokens.mint(team, "agent", [scopes.KEYS], person=alice.user)[1]
    made = call(gateway, raw, "make_key", name="of the team")
    assert isinstance(made, dict), made
    assert ApiKey.objects.get(pk=made["id"]).user == team
    mine = TeamEvent.objects.filter(account=team, action="tool_called")
    assert [each.actor for each in mine] == [alice.user]


# -- The door ------------------------------------------------------------------------------------

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def post(gateway: Gateway, raw: str = "", **headers: str) -> httpx.Response:
    sent = {"Accept": "application/json, text/event-stream", **headers}
    if raw:
        sent["Authorization"] = f"Bearer {raw}"
    return httpx.post(f"{gateway.url}/mcp", json=HELLO, headers=sent)


def test_who_has_no_token_is_told_where_one_is_had(gateway: Gateway, alice: Person) -> None:
    reply = post(gateway)
    assert reply.status_code == 401
    where = reply.headers["www-authenticate"].partition('resource_metadata="')[2].rstrip('"')
    path = "/" + where.split("/", 3)[3]
    found = httpx.get(f"{gateway.url}{path}").json()
    assert found["resource"].endswith("/mcp") and found["scopes_supported"] == list(
        scopes.OF_TOKENS
    )
    wrong = post(gateway, "pat-gw-nonsense")
    assert wrong.status_code == 401 and "invalid_token" in wrong.headers["www-authenticate"]
    assert httpx.get(f"{gateway.url}/mcp").status_code == 405


def test_a_session_of_a_person_opens_nothing(gateway: Gateway, alice: Person) -> None:
    assert post(gateway, tokens.issue(alice.user).access_token).status_code == 401


def test_a_page_of_somebody_elses_asks_nothing(gateway: Gateway, alice: Person) -> None:
    raw = token(alice, scopes.USAGE)
    assert post(gateway, raw).status_code == 200
    assert post(gateway, raw, Origin="https://evil.example").status_code == 403
    assert post(gateway, raw, Origin="null").status_code == 403
    assert post(gateway, raw, Host="rebound.example").status_code == 421


def test_a_token_asks_so_often_and_no_more(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.mcp.door.BY_TOKEN", (2, 3600))
    raw = token(alice, scopes.USAGE)
    assert [post(gateway, raw).status_code for _ in range(3)] == [200, 200, 429]
    other = token(alice, scopes.USAGE)
    assert post(gateway, other).status_code == 200
    monkeypatch.setattr("gateway.mcp.door.BY_ACCOUNT", (3, 3600))
    assert post(gateway, other).status_code == 429  # whichever token it is
