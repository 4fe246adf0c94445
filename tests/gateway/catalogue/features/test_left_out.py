"""What no row allows is not sent, never refused, told in a header, on the receipt, and counted."""

from typing import Any

import httpx
import orjson
import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from billing.books.models import AuditEntry
from gateway.catalogue import snapshot
from gateway.catalogue.features.models import Feature, LeftOut
from hontoni.money import nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

FUNCTION = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
OPENAI = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}
BLOCK = {"type": "hologram_2029", "data": "x"}
TEXT = {"type": "text", "text": "hi"}


def user(*blocks: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


CLAUDE: list[tuple[dict[str, Any], str]] = [
    ({"mcp_servers": [{"type": "url", "url": "https://x.test"}]}, "member:mcp_servers"),
    ({"container": "c_1"}, "member:container"),
    ({"fallbacks": [{"model": "claude-opus-4-1"}]}, "member:fallbacks"),
    ({"turbo": True}, "member:turbo"),
    ({"output_config": {"effort": "low", "draft_model": "x"}}, "member:output_config.draft_model"),
    ({"speed": "ludicrous"}, "value:speed=ludicrous"),
    ({"service_tier": "priority"}, "value:service_tier=priority"),
    ({"inference_geo": "mars"}, "value:inference_geo=mars"),
    ({"speed": {"fast": True}}, "value:speed=?"),
    ({"tools": [FUNCTION, {"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tool:mcp_toolset"),
    ({"tools": [FUNCTION, {"type": "oracle_2029", "name": "o"}]}, "tool:oracle_2029"),
    ({"tools": [FUNCTION | {"priced_by": "x"}]}, "member:tools.priced_by"),
    ({"messages": user(TEXT, BLOCK)}, "block:hologram_2029"),
    ({"messages": user(TEXT) + user(BLOCK)}, "block:hologram_2029"),
    ({"messages": user(TEXT | {"type": "container_upload"}, TEXT)}, "block:container_upload"),
    ({"context_management": {"edits": [{"type": "dream_2029"}]}}, "block:dream_2029"),
    ({"tools": [{"type": "advisor_20260301", "name": "a", "model": "claude-none"}, FUNCTION]},
     "tool:advisor_20260301 with claude-none"),
    ({"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "gpt-5.2"}, FUNCTION]},
     "tool:advisor_20260301 with gpt-5.2"),
]  # fmt: skip
LATE = {"type": "additional_tools", "role": "developer", "tools": [OPENAI, {"type": "mcp"}]}
SPACE = {"type": "namespace", "name": "n", "description": "", "tools": [OPENAI, {"type": "mcp"}]}
ASKS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
RESPONSES: list[tuple[dict[str, Any], str]] = [
    ({"access_programs": {"x": 1}}, "member:access_programs"),
    ({"reasoning": {"mode": "pro"}}, "member:reasoning.mode"),
    ({"service_tier": "ultrafast"}, "value:service_tier=ultrafast"),
    ({"tools": [OPENAI, {"type": "mcp", "server_url": "https://x.test"}]}, "tool:mcp"),
    ({"tools": [OPENAI, {"type": "code_interpreter", "container": "cntr_1"}]},
     "tool:code_interpreter"),
    ({"tools": [OPENAI, {"type": "code_interpreter", "container": {
        "type": "auto", "memory_limit": "64g"}}]}, "member:tools.container.memory_limit"),
    ({"tools": [OPENAI, {"type": "image_generation", "model": "gpt-image-9"}]},
     "member:tools.model"),
    ({"tools": [SPACE]}, "tool:mcp"),
    ({"input": [LATE, ASKS]}, "tool:mcp"),
    ({"input": [ASKS, {"type": "mcp_call", "id": "m"}]}, "block:mcp_call"),
    ({"input": [ASKS | {"content": [*ASKS["content"], {"type": "input_dream"}]}]},
     "block:input_dream"),
]  # fmt: skip
CHAT: list[tuple[dict[str, Any], str]] = [
    ({"web_search_options": {}}, "member:web_search_options"),
    ({"service_tier": "flex"}, "value:service_tier=flex"),
    ({"plugins": [{"id": "web"}]}, "member:plugins"),
    ({"messages": user({"type": "text", "text": "hi"}, BLOCK)}, "block:hologram_2029"),
]


def chat(gateway: Gateway, person: Person, model: str, **body: Any) -> httpx.Response:
    return gateway.chat(person, **{"model": model} | body)


@pytest.mark.parametrize(
    ("ask", "model", "cases"),
    [
        (vendor.messages, "claude-opus-4.6", CLAUDE),
        (vendor.responses, "gpt-5.2", RESPONSES),
        (chat, "gpt-4o", CHAT),
    ],
    ids=["messages", "responses", "chat"],
)
def test_it_is_not_sent_and_told(
    gateway: Gateway, alice: Person, ask: Any, model: str, cases: list[tuple[dict[str, Any], str]]
) -> None:
    fund(alice, "100")
    for body, name in cases:
        reply = ask(gateway, alice, model, **body)
        assert reply.status_code == 200, (name, reply.text)
        assert reply.headers["x-hontoni-left-out"] == name
        bare = name.partition(":")[2].partition(" ")[0].rpartition(".")[2].rpartition("=")[2]
        if not any(word in name for word in ("container", "code_interpreter", ".model")):
            assert f'"{bare}"'.encode() not in orjson.dumps(vendor.sent(gateway))
        event = gateway.books()[-1]
        assert event.details["left_out"] == [name] and event.cost > 0
        receipt = alice.client().get(f"/api/usage/{event.request_id}").json()
        assert receipt["left_out"] == [name]
    counted = dict(LeftOut.objects.values_list("name", "count"))
    for _, name in cases:
        assert counted[name.partition(":")[2]] == sum(name == other for _, other in cases)
    assert set(LeftOut.objects.values_list("last_user", flat=True)) == {alice.user.pk}


def test_what_is_kept_at_the_vendor_is_searched_only_where_staff_have_listed_it(
    gateway: Gateway, alice: Person
) -> None:
    """The vendor's account is ours: what is in it may be another customer's."""
    fund(alice, "100")
    theirs = {"type": "file_search", "vector_store_ids": ["vs_1", "vs_others"]}
    for tool in (
        theirs,
        theirs | {"vector_store_ids": "vs_others"},
        theirs | {"vector_store_ids": [7]},
    ):
        reply = vendor.responses(gateway, alice, "gpt-5.2", tools=[OPENAI, tool])
        assert "tool:file_search" in reply.headers["x-hontoni-left-out"]
        assert [each["type"] for each in vendor.sent(gateway)["tools"]] == ["function"]
    gateway.books()
    chosen = LeftOut.objects.get(name="tools.vector_store_ids=vs_others")
    client = staff("catalogue")
    client.post("/admin/gateway/leftout/", {"action": "allow", "_selected_action": [chosen.pk]})
    snapshot.forget()
    vendor.responses(gateway, alice, "gpt-5.2", tools=[OPENAI, theirs])
    assert vendor.sent(gateway)["tools"] == [OPENAI, theirs]


def test_escapes_hide_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = (
        b'{"model":"claude-sonnet-4.6","max_tokens":10,"messages":[{"role":"user","content":"hi"}'
    )
    body += b'],"mcp\\u005fservers":[],"tools":[{"\\u0074ype":"mcp\\u005ftoolset","name":"x"}]}'
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages", content=body)
    assert reply.headers["x-hontoni-left-out"] == "member:mcp_servers, tool:mcp_toolset"
    assert vendor.sent(gateway).keys() == {"model", "max_tokens", "messages", "metadata"}


def test_flags_and_headers_are_looked_at_one_by_one(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    betas = "interleaved-thinking-2025-05-14,mcp-client-2025-11-20, dreams-2029-01-01"
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", betas)
    told = "beta:mcp-client-2025-11-20, beta:dreams-2029-01-01"
    assert reply.headers["x-hontoni-left-out"] == told
    assert gateway.vendors.last.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    with gateway.http(alice) as http:
        headers = {"openai-organization": "org-1", "openai-beta": "responses=experimental"}
        body = {"model": "gpt-5.2", "input": "hi"}
        reply = http.post("/v1/responses", json=body, headers=headers)
    assert reply.headers["x-hontoni-left-out"] == "header:openai-organization"
    assert gateway.vendors.last.headers["openai-beta"] == "responses=experimental"
    gateway.books()
    assert LeftOut.objects.filter(kind="beta", count=1).count() == 2


def test_a_forced_tool_that_may_not_be_asked_is_a_400(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    oracle = {"type": "oracle_2029", "name": "oracle"}
    forced = {"type": "tool", "name": "oracle"}
    claude = vendor.messages(
        gateway, alice, "claude-sonnet-4.6", tools=[FUNCTION, oracle], tool_choice=forced
    )
    mcp = {"type": "mcp", "server_label": "x"}
    gpt = vendor.responses(gateway, alice, "gpt-5.2", tools=[OPENAI, mcp], tool_choice=mcp)
    for reply in (claude, gpt):
        assert reply.status_code == 400, reply.text
        assert "is not available on" in reply.json()["error"]["message"]
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [mcp, {"type": "function", "name": "look"}]}  # noqa: E501  # fmt: skip
    reply = vendor.responses(gateway, alice, "gpt-5.2", tools=[OPENAI, mcp], tool_choice=allowed)
    assert reply.status_code == 200
    assert [tool["name"] for tool in vendor.sent(gateway)["tool_choice"]["tools"]] == ["look"]


def test_a_message_of_nothing_known_is_a_400(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", messages=user(BLOCK))
    assert reply.status_code == 400 and gateway.vendors.requests == []


ELSEWHERE: list[tuple[str, str, dict[str, Any], str]] = [
    ("responses", "gpt-5.2", {"previous_response_id": "r_1"}, "previous_response_not_found"),
    ("responses", "gpt-5.2", {"conversation": "conv_1"}, "previous_response_not_found"),
    ("responses", "gpt-5.2", {"prompt": {"id": "pmpt_1"}}, "previous_response_not_found"),
    ("messages", "claude-sonnet-4.6", {"thread": {"type": "create"}}, "unsupported_parameter"),
    ("messages/count_tokens", "claude-sonnet-4.6", {"thread": {"type": "continue"}},
     "unsupported_parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "model", "body", "code"), ELSEWHERE)
def test_what_points_at_what_only_the_vendor_remembers_is_refused_and_not_left_out(
    gateway: Gateway, alice: Person, path: str, model: str, body: dict[str, Any], code: str
) -> None:
    """Without it the model would answer another conversation than the one that was meant."""
    fund(alice, "10")
    said = {"input": "hi"} if path == "responses" else {"messages": user(TEXT), "max_tokens": 9}
    with gateway.http(alice) as http:
        reply = http.post(f"/v1/{path}", json={"model": model} | said | body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (400, code)
    if "thread" in body:  # the SDK reads it, and sends the whole conversation
        assert error["details"]["error_code"] == "thread_unsupported_request"
    assert gateway.vendors.requests == [] and gateway.books() == []


def test_what_is_in_a_tools_arguments_is_nobodys_business(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    call = {"type": "tool_use", "id": "t1", "name": "look", "input": {"type": "mcp", "x": BLOCK}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
    talk = [*user(TEXT), {"role": "assistant", "content": [call]}, *user(result)]
    schema = {"type": "object", "properties": {"type": {"type": "string", "enum": ["mcp"]}}}
    tools = [FUNCTION | {"input_schema": schema}]
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", messages=talk, tools=tools)
    assert reply.status_code == 200 and "x-hontoni-left-out" not in reply.headers
    assert vendor.sent(gateway)["messages"] == talk and vendor.sent(gateway)["tools"] == tools


def test_staff_allow_it_and_the_next_request_has_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    vendor.messages(gateway, alice, "claude-sonnet-4.6", "dreams-2029-01-01")
    gateway.books()
    client = staff("catalogue")
    chosen = LeftOut.objects.get(name="dreams-2029-01-01")
    page = client.get("/admin/gateway/leftout/")
    assert "dreams-2029-01-01" in page.content.decode()
    client.post("/admin/gateway/leftout/", {"action": "allow", "_selected_action": [chosen.pk]})
    assert Feature.objects.get(name="dreams-2029-01-01").pricing == "included"
    assert AuditEntry.objects.filter(actor="catalogue@example.com", action="allow").exists()
    assert not LeftOut.objects.exists()
    snapshot.forget()
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", "dreams-2029-01-01")
    assert "x-hontoni-left-out" not in reply.headers


def test_a_tool_that_the_balance_does_not_cover_is_left_out(
    gateway: Gateway, alice: Person
) -> None:
    """The request is answered all the same; where it is forced, it is a 402."""
    fund(alice, "0.05")
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    tools: dict[str, Any] = {"tools": [FUNCTION, search], "max_tokens": 100}
    for stream in (False, True):
        reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", stream=stream, **tools)
        assert reply.status_code == 200
        told = reply.headers["x-hontoni-left-out"]
        assert told == "tool:web_search_20250305 (balance)"
        assert [tool["name"] for tool in vendor.sent(gateway)["tools"]] == ["look"]
    choice = {"type": "tool", "name": "web_search"}
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", tool_choice=choice, **tools)
    assert reply.status_code == 402, reply.text
    assert gateway.balance(alice) > nanos("0.04") and not LeftOut.objects.exists()


def test_how_often_a_tool_may_be_called_is_told_to_the_vendor(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "200")
    search = {"type": "web_search_20250305", "name": "web_search"}
    for asked, sent in ((None, 8), (3, 3), (500, 8)):
        tool = search | ({"max_uses": asked} if asked else {})
        vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=[tool])
        assert vendor.sent(gateway)["tools"][0]["max_uses"] == sent
    for asked, sent in ((None, 4), (3, 3), (500, 4)):
        more = {"max_tool_calls": asked} if asked else {}
        vendor.responses(gateway, alice, "gpt-5.2", tools=[{"type": "web_search"}], **more)
        assert vendor.sent(gateway)["max_tool_calls"] == sent


def act(client: Client, action: str, *rows: LeftOut) -> str:
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post("/admin/gateway/leftout/", chosen, follow=True).content.decode()


def test_no_name_of_a_customers_is_allowed_as_more_than_a_name(
    gateway: Gateway, alice: Person
) -> None:
    """One click on everything must not open the whole list, nor close a part of it."""
    fund(alice, "10")
    odd: dict[str, Any] = {"*": 1, "z*": 1, "messages.x": 1, "": 1, "x" * 99: 1, "y\u202e": 1}
    tools = [FUNCTION, {"type": "*", "name": "a"}, {"type": "c*", "name": "b"}]
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=tools, **odd)
    assert reply.status_code == 200
    gateway.books()
    before, rows = Feature.objects.count(), list(LeftOut.objects.all())
    assert len(rows) == 8
    client = staff("catalogue")
    assert "no vendor has something of that name" in act(client, "allow", *rows)
    assert Feature.objects.count() == before and LeftOut.objects.count() == 8
    act(client, "forget", *rows)
    assert not LeftOut.objects.exists()


def test_what_costs_money_is_allowed_at_a_price(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    vendor.messages(gateway, alice, "claude-sonnet-4", inference_geo="us")
    gateway.books()
    (row,) = LeftOut.objects.all()
    client = staff("catalogue")
    assert "allow it at a price" in act(client, "allow", row)
    form = client.get(f"/admin/gateway/leftout/{row.pk}/price/", follow=True)
    shown = form.context["adminform"].form
    assert (shown["kind"].value(), shown["name"].value()) == ("value", "inference_geo=us")
    typed = {name: shown[name].value() for name in shown.fields if shown[name].value() is not None}
    typed |= {
        "pricing": "factor",
        "factor": "11000",
        "amount": "0",
        "only_models": "claude-sonnet-4",
    }
    assert client.post("/admin/gateway/feature/add/", typed).status_code == 302
    assert not LeftOut.objects.exists()


def test_a_name_that_allows_everything_is_no_name() -> None:
    for name in ("*", "**", "a*b"):
        with pytest.raises(ValidationError):
            Feature(dialect="openai_chat", kind="member", name=name).full_clean()
    Feature(dialect="openai_chat", kind="member", name="abc*", note="x").full_clean()


def test_who_asks_for_very_much_is_told_that_more_was_left_out(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    many: dict[str, Any] = {f"m{number:02}": 1 for number in range(30)}
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", **many)
    told = reply.headers["x-hontoni-left-out"].split(", ")
    assert told == [f"member:m{number:02}" for number in range(20)] + ["..."]


@pytest.mark.parametrize("way", ["regex", "bm25"])
def test_tools_that_nobody_looks_for_any_more_are_offered_at_once(
    gateway: Gateway, alice: Person, way: str
) -> None:
    """The search may go ten rounds, each with the whole prompt: a small balance has none of it."""
    fund(alice, "0.05")
    finder = {"type": f"tool_search_tool_{way}_20251119", "name": f"tool_search_tool_{way}"}
    tools = [finder, FUNCTION | {"defer_loading": True}]
    reply = vendor.messages(gateway, alice, "claude-sonnet-4.6", max_tokens=200, tools=tools)
    assert reply.status_code == 200
    assert reply.headers["x-hontoni-left-out"] == f"tool:{finder['type']} (balance)"
    assert vendor.sent(gateway)["tools"] == [FUNCTION]


@pytest.mark.parametrize(
    ("path", "model", "tool"),
    [
        ("messages", "claude-haiku-4.5",
         {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}),
        ("messages", "claude-haiku-4.5",
         {"type": "code_execution_20250825", "name": "code_execution"}),
        ("responses", "gpt-5.4-mini", {"type": "tool_search"}),
        ("responses", "gpt-5.4-mini", {"type": "code_interpreter", "container": {"type": "auto"}}),
        ("messages", "gemini-2.5-pro",
         {"type": "code_execution_20250825", "name": "code_execution"}),
    ],
)  # fmt: skip
def test_every_round_of_a_vendors_tools_is_held(
    gateway: Gateway, alice: Person, path: str, model: str, tool: dict[str, Any]
) -> None:
    """Each round reads the whole prompt again."""
    fund(alice, "50")
    words = "word " * 20_000
    ask = vendor.messages if path == "messages" else vendor.responses
    said: dict[str, Any] = {"input": words}
    if path == "messages":
        said = {"messages": [{"role": "user", "content": words}]}
    assert ask(gateway, alice, model, **said).status_code == 200
    assert ask(gateway, alice, model, tools=[tool], **said).status_code == 200
    bare, rounds = gateway.books()
    assert rounds.details.get("left_out") is None
    assert rounds.hold > 5 * bare.hold


def test_a_search_that_the_client_makes_costs_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for tools in ([OPENAI], [OPENAI, {"type": "tool_search", "execution": "client"}]):
        vendor.responses(gateway, alice, "gpt-5.4-mini", tools=tools)
    bare, searching = gateway.books()
    assert searching.hold < 2 * bare.hold
