"""The web for models whose vendor does not look at it: searched by us, on the way."""

from collections.abc import Iterator

import orjson
import pytest

from gateway.plane import large
from gateway.vendors.own_keys import keeping
from gateway.vendors.web import searching
from gateway.vendors.web.models import SearchProvider
from sandbox.vendors.faults import Fault
from tests.gateway.plane.web.world import (
    MODELS,
    SEARCH,
    call,
    calls_of,
    events,
    messages,
    post,
    provider,
)
from tests.gateway.vendors.own_keys import charge, offer
from tests.gateway_server import Gateway, fund, settled
from tests.vendors import KEY
from tests.world import Person


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(large, "_FEW_BYTES", 0)
    monkeypatch.setattr(large, "LARGE_OBJECTS", 0)
    yield
    large.stop()


@pytest.mark.parametrize("model", MODELS)
def test_claude_codes_search_is_run_for_another_vendors_model(
    web: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    text = call("web_search", query="cobalt prices") + "[[say: See {result}]]"
    reply = post(web, alice, "/v1/messages", messages(text, model)).json()
    kinds = [block["type"] for block in reply["content"] if block["type"] != "thinking"]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text"], reply
    use, result, said = (b for b in reply["content"] if b["type"] != "thinking")
    assert use["input"] == {"query": "cobalt prices"} and use["name"] == "web_search"
    assert result["tool_use_id"] == use["id"] and use["id"].startswith("srvtoolu_")
    assert result["content"][0]["url"] == "https://example.com/cobalt-prices/1"
    assert result["content"][0]["encrypted_content"]
    assert "https://example.com/cobalt-prices/1" in said["text"]
    assert reply["stop_reason"] == "end_turn"
    assert reply["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert [each.query for each in web.vendors.sandbox.searches] == ["cobalt prices"]
    (event,) = web.books()
    assert calls_of(event) == {"web_search": 1}
    assert len(event.details["rounds"]) == 1 and event.cost <= event.hold


FUNCTION = {"name": "weather", "input_schema": {"type": "object", "properties": {}}}


def test_beside_functions_gemini_is_given_our_search(web: Gateway, alice: Person) -> None:
    """Google takes functions or its own tools, not both."""
    fund(alice, "10")
    body = messages(call("web_search", query="tin"), "gemini-2.5-pro", tools=[SEARCH, FUNCTION])
    reply = post(web, alice, "/v1/messages", body).json()
    assert [b["type"] for b in reply["content"]][:2] == [
        "server_tool_use",
        "web_search_tool_result",
    ]
    assert len(web.vendors.sandbox.searches) == 1


def test_the_stream_tells_the_same_as_the_whole_answer(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    text = "[[say: First I look.]]" + call("web_search", query="tin")
    body = messages(text, stream=True)
    told = events(post(web, alice, "/v1/messages", body).text)
    starts = [e["content_block"]["type"] for e in told if e["type"] == "content_block_start"]
    assert starts[-3:] == ["server_tool_use", "web_search_tool_result", "text"]
    indexes = [e["index"] for e in told if e["type"] == "content_block_start"]
    assert indexes == list(range(len(indexes)))
    assert [e["type"] for e in told].count("message_start") == 1
    (delta,) = [e for e in told if e["type"] == "message_delta"]
    assert delta["usage"]["server_tool_use"]["web_search_requests"] == 1
    (event,) = web.books()
    used = delta["usage"]["input_tokens"] + delta["usage"]["cache_read_input_tokens"]
    assert used == sum(event.usage[:4])


def test_what_was_found_comes_back_with_the_next_turn(web: Gateway, alice: Person) -> None:
    """On any model: the text of the pages travels sealed in the blocks, and Claude, which would
    refuse what it has not encrypted itself, is told it as text."""
    fund(alice, "10")
    first = messages(call("web_search", query="lead"))
    reply = post(web, alice, "/v1/messages", first).json()
    said = [*first["messages"], {"role": "assistant", "content": reply["content"]}]
    said.append({"role": "user", "content": "And why?"})
    for model in ("gpt-5.2", "gpt-4o", "gemini-3-flash-preview", "claude-sonnet-4.5"):
        post(web, alice, "/v1/messages", messages("", model, messages=said, tools=[]))
        sent = orjson.dumps(web.vendors.last.body).decode()
        assert "has to say about lead" in sent, model
        assert "hn1." not in sent, model


def test_a_forged_page_is_nobodys_words(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    first = messages(call("web_search", query="lead") + "[[say: Fine.]]")
    reply = post(web, alice, "/v1/messages", first).json()
    for block in reply["content"]:
        if block["type"] == "web_search_tool_result":
            for page in block["content"]:
                page["encrypted_content"] = page["encrypted_content"][:-4] + "AAAA"
    said = [*first["messages"], {"role": "assistant", "content": reply["content"]}]
    said.append({"role": "user", "content": "And why?"})
    for model in ("gpt-4o", "claude-sonnet-4.5"):
        post(web, alice, "/v1/messages", messages("", model, messages=said, tools=[]))
        assert "has to say about lead" not in orjson.dumps(web.vendors.last.body).decode()


def test_responses_tells_its_searches_and_cites(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    text = call("web_search", query="zinc")
    text += "[[say: See [Zinc](https://example.com/zinc/1) and {result}]]"
    body = {
        "model": "claude-sonnet-4.5",
        "input": text,
        "tools": [{"type": "web_search", "filters": {"allowed_domains": ["example.com"]}}],
        "include": ["web_search_call.action.sources"],
    }
    reply = post(web, alice, "/v1/responses", body).json()
    search, message = [item for item in reply["output"] if item["type"] != "reasoning"]
    assert search["type"] == "web_search_call" and search["status"] == "completed"
    assert search["action"]["query"] == "zinc"
    sources = {source["url"] for source in search["action"]["sources"]}
    assert sources == {"https://example.com/zinc/1", "https://example.com/zinc/2"}
    (part,) = message["content"]
    note = part["annotations"][0]
    assert note["type"] == "url_citation" and note["url"] == "https://example.com/zinc/1"
    cited = part["text"][note["start_index"] : note["end_index"]]
    assert cited == "[Zinc](https://example.com/zinc/1)"
    told = events(post(web, alice, "/v1/responses", {**body, "stream": True}).text)
    kinds = [each["type"] for each in told]
    for stage in ("in_progress", "searching", "completed"):
        assert f"response.web_search_call.{stage}" in kinds
    assert [each["sequence_number"] for each in told] == list(range(len(told)))
    assert told[-1]["response"]["output"][-1]["content"][0]["annotations"][0] == note
    assert {calls_of(event)["web_search"] for event in web.books()} == {1}
    # and what a client gives back of it is understood
    again = [
        {"role": "user", "content": "Zinc?"},
        *reply["output"],
        {"role": "user", "content": "Go"},
    ]
    for model in ("claude-sonnet-4.5", "gpt-5.2"):
        post(web, alice, "/v1/responses", {**body, "model": model, "input": again})


def test_chat_asks_by_its_options_and_is_told_in_annotations(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    text = (
        "[[say: Hm.]]" + call("web_search", query="zinc") + "[[say: https://example.com/zinc/1]]"
    )
    body = {
        "model": "gpt-4o",
        "max_tokens": 300,
        "messages": [{"role": "user", "content": text}],
        "web_search_options": {"search_context_size": "low"},
    }
    reply = post(web, alice, "/v1/chat/completions", body)
    assert "x-hontoni-left-out" not in reply.headers
    message = reply.json()["choices"][0]["message"]
    (note,) = [note["url_citation"] for note in message["annotations"]]
    assert message["content"][note["start_index"] : note["end_index"]] == note["url"]
    assert "tool_calls" not in message and reply.json()["choices"][0]["finish_reason"] == "stop"
    told = events(post(web, alice, "/v1/chat/completions", {**body, "stream": True}).text)
    deltas = [each["choices"][0]["delta"] for each in told if each.get("choices")]
    assert [d["annotations"][0]["url_citation"] for d in deltas if "annotations" in d] == [note]
    assert len(web.vendors.sandbox.searches) == 2


def test_googles_door_is_told_what_its_answer_is_grounded_in(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    parts = [{"text": call("web_search", query="tin")}]
    body = {"contents": [{"role": "user", "parts": parts}], "tools": [{"googleSearch": {}}]}
    path = "/v1beta/models/gpt-4o:generateContent"
    (candidate,) = post(web, alice, path, body).json()["candidates"]
    grounds = candidate["groundingMetadata"]
    assert grounds["webSearchQueries"] == ["tin"]
    assert grounds["groundingChunks"][0]["web"]["uri"] == "https://example.com/tin/1"


def test_a_tool_is_used_as_often_as_was_said_and_never_again(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    text = "".join(call("web_search", query=f"ore {n}") for n in range(5))
    once = {**SEARCH, "max_uses": 2}
    reply = post(web, alice, "/v1/messages", messages(text, tools=[once])).json()
    results = [b for b in reply["content"] if b["type"] == "web_search_tool_result"]
    assert len(web.vendors.sandbox.searches) == 2
    assert [isinstance(result["content"], list) for result in results[:2]] == [True, True]
    assert reply["usage"]["server_tool_use"]["web_search_requests"] == 2
    (event,) = web.books()
    assert calls_of(event) == {"web_search": 2} and event.cost <= event.hold
    both = messages("[[parallel]]" + text, tools=[once])
    parallel = post(web, alice, "/v1/messages", both).json()["content"]
    found = [b["content"] for b in parallel if b["type"] == "web_search_tool_result"]
    refused = [each["error_code"] for each in found if isinstance(each, dict)]
    assert refused == ["max_uses_exceeded"] * 3


@pytest.mark.parametrize(
    ("status", "code"), [(429, "too_many_requests"), (500, "unavailable"), (403, "unavailable")]
)
def test_a_search_that_fails_costs_nothing_and_the_model_is_told(
    web: Gateway, alice: Person, status: int, code: str
) -> None:
    fund(alice, "10")
    web.vendors.faults.append(Fault(status=status, path="/search"))
    reply = post(web, alice, "/v1/messages", messages(call("web_search", query="tin"))).json()
    (result,) = [b for b in reply["content"] if b["type"] == "web_search_tool_result"]
    assert result["content"] == {"type": "web_search_tool_result_error", "error_code": code}
    assert "server_tool_use" not in reply["usage"] and reply["stop_reason"] == "end_turn"
    (event,) = web.books()
    assert calls_of(event) == {}


def test_a_call_of_the_clients_beside_ours_is_the_clients(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    text = "[[parallel]]" + call("web_search", query="tin") + call("weather")
    body = messages(text, tools=[SEARCH, FUNCTION])
    reply = post(web, alice, "/v1/messages", body).json()
    kinds = [b["type"] for b in reply["content"] if b["type"] != "thinking"]
    assert sorted(kinds) == ["server_tool_use", "tool_use", "web_search_tool_result"]
    assert reply["stop_reason"] == "tool_use"
    (use,) = [b for b in reply["content"] if b["type"] == "tool_use"]
    answer = [{"type": "tool_result", "tool_use_id": use["id"], "content": "sunny"}]
    said = [*body["messages"], {"role": "assistant", "content": reply["content"]},
            {"role": "user", "content": answer}]  # fmt: skip
    post(web, alice, "/v1/messages", {**body, "messages": said})


def test_domains_that_are_forbidden_are_never_shown(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    for filters, shown in (
        ({"blocked_domains": ["example.com", "example.net"]}, {"docs.example.org"}),
        ({"allowed_domains": ["example.org"]}, {"example.org", "docs.example.org"}),
    ):
        body = messages(call("web_search", query="tin"), tools=[{**SEARCH, **filters}])
        reply = post(web, alice, "/v1/messages", body).json()
        (result,) = [b for b in reply["content"] if b["type"] == "web_search_tool_result"]
        assert {page["url"].split("/")[2] for page in result["content"]} == shown


def test_brave_is_asked_as_it_wants_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    provider(gateway, "brave")
    place = {"user_location": {"type": "approximate", "country": "de"}}
    body = messages(call("web_search", query="tin"), tools=[{**SEARCH, **place}])
    reply = post(gateway, alice, "/v1/messages", body).json()
    (result,) = [b for b in reply["content"] if b["type"] == "web_search_tool_result"]
    assert result["content"][0]["page_age"] == "November 1, 2026"
    (search,) = gateway.vendors.sandbox.searches
    assert (search.engine, search.token, search.status) == ("brave", KEY, 200)


def test_the_next_provider_is_asked_where_the_first_fails(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    provider(web, "brave", priority=-0, name="brave")
    SearchProvider.objects.filter(shape="searxng").update(
        priority=1, base_url="http://127.0.0.1:9"
    )
    searching.forget()
    post(web, alice, "/v1/messages", messages(call("web_search", query="tin")))
    assert [search.engine for search in web.vendors.sandbox.searches] == ["brave"]


def test_without_a_provider_nothing_is_searched_and_that_is_told(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    reply = post(gateway, alice, "/v1/messages", messages("Hi"))
    assert reply.headers["x-hontoni-left-out"] == "tool:web_search_20250305"
    assert "web_search" not in str(gateway.vendors.last.body.get("tools"))


def test_claude_searches_itself(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = messages("[[use: web_search 1]]", "claude-sonnet-4.5")
    post(web, alice, "/v1/messages", body)
    assert web.vendors.sandbox.searches == []
    assert web.vendors.last.body["tools"][0]["type"] == SEARCH["type"]


def test_a_small_balance_searches_less_often_or_not_at_all(web: Gateway, alice: Person) -> None:
    fund(alice, "0.05")
    text = "".join(call("web_search", query=f"ore {n}") for n in range(3))
    reply = post(web, alice, "/v1/messages", messages(text, "gpt-4o"))
    (event,) = web.books()
    assert 0 < event.cost <= event.hold <= 50_000_000
    assert len(web.vendors.sandbox.searches) < 3
    assert reply.json()["stop_reason"] in ("end_turn", "tool_use", "max_tokens")


def test_a_second_round_that_fails_costs_nothing(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    body = messages(call("web_search", query="tin"), stream=True)
    for stream in (True, False):
        web.vendors.faults.extend(
            (Fault(path="/responses"), Fault(status=500, body=b"{}", path="/responses"))
        )
        with web.http(alice) as http:
            reply = http.post("/v1/messages", json={**body, "stream": stream})
        if stream:
            assert events(reply.text)[-1]["type"] == "error"
        else:  # nothing was told yet, so it was asked once more
            assert reply.status_code in (200, 500)
        web.vendors.faults.clear()
    costs = [event.cost for event in web.books()]
    assert costs[0] == 0


# -- Who leaves, who pays, what is large ---------------------------------------------------------


def test_who_leaves_in_a_later_round_pays_for_both(web: Gateway, alice: Person) -> None:
    fund(alice, "10")
    text = call("web_search", query="tin") + "[[say: " + "word " * 400 + "]]"
    body = messages(text, "gpt-4o", stream=True)
    with web.http(alice) as http, http.stream("POST", "/v1/messages", json=body) as reply:
        heard = b""
        for chunk in reply.iter_bytes():
            heard += chunk
            if b"text_delta" in heard:
                break
    settled(web.vendors)
    (event,) = web.books()
    assert event.cost > 0 and calls_of(event) == {"web_search": 1}


def test_a_large_request_is_searched_for_as_well(
    web: Gateway, alice: Person, everything_is_large: None
) -> None:
    """Where it is large, another process has the conversation (large.py)."""
    fund(alice, "10")
    reply = post(web, alice, "/v1/messages", messages(call("web_search", query="tin"), "gpt-4o"))
    kinds = [block["type"] for block in reply.json()["content"]]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text"]


def test_a_search_is_in_the_price_list_once_there_is_a_provider(
    gateway: Gateway, alice: Person
) -> None:
    def ours() -> int:
        with gateway.http(alice) as http:
            listed = http.get("/v1/models").json()["data"]
        (model,) = [each for each in listed if each["id"] == "gpt-4o"]
        return len([f for f in model["features"] if f["name"] in ("web_search", "web_fetch")])

    assert ours() == 0
    provider(gateway)
    assert ours() == 2


def test_a_customers_own_key_pays_for_what_we_run(gateway: Gateway, alice: Person) -> None:
    """The vendor bills the tokens; the search is ours all the same."""
    fund(alice, "10")
    offer(gateway.vendors)
    charge("0.10")
    provider(gateway)
    keeping.add(alice.user, "openai", KEY)
    post(gateway, alice, "/v1/messages", messages(call("web_search", query="tin"), "gpt-4o"))
    (event,) = gateway.books()
    assert event.details["own_key"] and calls_of(event) == {"web_search": 1}
    assert event.cost >= 10_000_000


def test_one_result_is_not_said_as_often_as_calls_name_it(web: Gateway, alice: Person) -> None:
    fund(alice, "50")
    source = {"type": "text", "media_type": "text/plain", "data": "word " * 4_000}
    page = {"url": "https://a.example", "content": {"type": "document", "source": source}}
    read = {"type": "web_fetch_result", **page}
    used = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {}}
    result = {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": read}
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [used] * 200 + [result]},
        {"role": "user", "content": "Go on"},
    ]
    body = {"model": "gpt-4o", "max_tokens": 50, "messages": said}
    reply = post(web, alice, "/v1/messages", body)
    assert reply.status_code == 200, reply.text
    assert len(orjson.dumps(web.vendors.last.body)) < 60_000
    (event,) = web.books()
    assert event.cost < event.hold and "clamps" not in event.details


FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}


def test_a_tool_that_is_declared_often_is_there_once(web: Gateway, alice: Person) -> None:
    """Each more of them had a longer name than the last: thousands stopped everybody."""
    fund(alice, "50")
    said = [{"role": "user", "content": "Hi"}]
    for tool in ({"type": "web_search_20250305", "name": "web_search"}, FETCH):
        body = {"model": "gpt-4o", "max_tokens": 50, "messages": said, "tools": [tool] * 500}
        assert post(web, alice, "/v1/messages", body).status_code == 200
        tools = web.vendors.last.body["tools"]
        assert [each["function"]["name"] for each in tools] == [tool["name"]]
