"""What a broken client or a hostile one sends to /mcp, and whose token it still is."""

import asyncio
from typing import Any

import httpx
import httpx2
import pytest
from django.db import connection, transaction
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from accounts.keys import api_keys, personal_tokens, scopes
from accounts.models import ApiKey, TeamEvent
from accounts.people import freezing
from accounts.teams import forming, memberships
from tests.confirmed import confirm
from tests.gateway.mcp.test_tools import call, key, token
from tests.gateway_server import Gateway, fund
from tests.world import Person

DEEP = '{"a":'
ACCEPT = "application/json, text/event-stream"


def send(gateway: Gateway, raw: str, content: bytes, **headers: str) -> httpx.Response:
    given = {"Accept": ACCEPT, "Content-Type": "application/json", **headers}
    given["Authorization"] = f"Bearer {raw}"
    return httpx.post(f"{gateway.url}/mcp", content=content, headers=given, timeout=30)


def calling(name: str, arguments: str) -> bytes:
    """A call, as it is written: with what no writer of JSON would write."""
    params = f'{{"name":"{name}","arguments":{arguments}}}'
    return f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'.encode()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', 400),
        (b"null", 400),
        (b'{"id":1,"method":"tools/list"}', 400),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', 202),
        (b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', 200),
        (b"[" * 100_000, 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_what_is_no_message_is_refused(
    gateway: Gateway, alice: Person, content: bytes, status: int
) -> None:
    reply = send(gateway, token(alice, scopes.USAGE), content)
    assert reply.status_code == status, reply.text
    if status == 200:
        assert reply.json()["error"]["code"] in (-32601, -32602)
    assert not TeamEvent.objects.filter(action="tool_called").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("no_such_tool", "{}"),
        ("\\u0000", "{}"),
        ("x" * 5_000, "{}"),
        ("balance", '{"\\u0000":"a\\u0000b"}'),
        ("make_key", '{"name":"a\\u0000b"}'),
        ("make_key", '{"name":"\\ud800"}'),
        ("models", '{"search":"\\ud800"}'),
        ("usage", '{"first_day":"\\u0000"}'),
        ("preview_plan", '{"plan":"../../keys?x=1#\\u0000"}'),
        ("revoke_key", '{"key_id":%s}' % ("9" * 400)),
        ("recent_requests", '{"limit":1e400}'),
        ("recent_requests", '{"limit":true,"model":{"a":1}}'),
        ("explain_request", '{"request_id":"req_%s/../../x"}' % ("0" * 32)),
        *(("estimate_cost", f'{{"request":{"[" * n}1{"]" * n}}}') for n in (3, 900)),
        *(("estimate_cost", f'{{"request":{DEEP * n}1{"}" * n}}}') for n in (180, 300, 900)),
        ("estimate_cost", '{"model":"gpt-4o","input_tokens":99999999999999999999999}'),
    ],
)
def test_what_is_wrong_in_a_call_breaks_nothing_and_is_written_down(
    gateway: Gateway, alice: Person, name: str, arguments: str
) -> None:
    raw = token(alice, *scopes.OF_TOKENS)
    before = ApiKey.objects.count()
    reply = send(gateway, raw, calling(name, arguments))
    assert reply.status_code in (200, 400), reply.text
    if reply.status_code == 200:
        found = reply.json()
        assert "error" in found or found["result"]["isError"], found
        assert "broken on our side" not in reply.text
        if "result" in found:
            event = TeamEvent.objects.get(action="tool_called")
            assert event.facts["done"] is False and event.actor == alice.user
    assert ApiKey.objects.count() == before
    assert call(gateway, raw, "models")["models"]


def test_a_token_that_ends_in_mid_session_ends_there(gateway: Gateway, alice: Person) -> None:
    made, raw = personal_tokens.mint(alice.user, "agent", [scopes.BILLING])

    def revoke() -> None:
        personal_tokens.revoke(made)
        connection.close()  # this thread's

    async def run() -> tuple[bool, str]:
        headers = {"Authorization": f"Bearer {raw}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{gateway.url}/mcp", http_client=http)
            async with Client(transport) as client:
                first = await client.call_tool("balance", {})
                await asyncio.to_thread(revoke)
                try:
                    await client.call_tool("balance", {})
                except Exception as error:
                    return first.is_error, str(error)
        return first.is_error, ""

    failed, words = asyncio.run(run())
    assert not failed and words
    assert TeamEvent.objects.filter(action="tool_called").count() == 1


@pytest.mark.parametrize("role", ["viewer", "developer", "billing"])
def test_a_member_s_token_is_good_for_what_their_role_is_now(
    gateway: Gateway, alice: Person, bob: Person, role: str
) -> None:
    owner = forming.make(confirm(alice.user), "Crew")
    mine = memberships.add(owner.account, confirm(bob.user), "admin")
    raw = personal_tokens.mint(owner.account, "agent", scopes.OF_TOKENS, person=bob.user)[1]
    assert isinstance(call(gateway, raw, "make_key", name="mine"), dict)
    with transaction.atomic():
        memberships.change(owner, mine, role=role)
    may = {
        "viewer": {"balance", "usage"},
        "developer": {"make_key", "usage", "list_keys"},
        "billing": {"balance", "usage"},
    }[role]
    for name, given in (
        ("balance", {}),
        ("usage", {}),
        ("list_keys", {}),
        ("make_key", {"name": "again"}),
        ("buy_plan", {"plan": "standard", "at_most": "900"}),
    ):
        found: Any = call(gateway, raw, name, **given)
        assert isinstance(found, dict) == (name in may), (name, found)
    with transaction.atomic():
        memberships.remove(owner, mine)
    reply = send(gateway, raw, calling("models", "{}"))
    assert reply.status_code == 401


def test_a_key_that_is_stopped_or_frozen_asks_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "5")
    raw = key(alice, scopes.USAGE, scopes.BILLING)
    assert call(gateway, raw, "balance")["available"]
    api_keys.revoke(api_keys.find(api_keys.digest(raw)))  # type: ignore[arg-type]
    assert send(gateway, raw, calling("balance", "{}")).status_code == 401
    freezing.freeze(alice.user.pk, "A payment on this account is disputed.")
    asks = token(alice, scopes.BILLING, scopes.BUYING)
    found = call(gateway, asks, "buy_plan", plan="standard", at_most="900")
    assert isinstance(found, str) and "disputed" in found
