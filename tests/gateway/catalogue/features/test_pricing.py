"""Every iteration at its own model and tier, every call at its price, every factor applied."""

from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from typing import Any

from django.test import Client

from gateway.catalogue.features.models import Feature
from gateway.catalogue.models import Price
from gateway.usage.models import UsageEvent
from hontoni.money import dollars, nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway_server import Gateway, fund
from tests.world import Person

COMPACTED = {
    "input_tokens": 23_000,
    "output_tokens": 1_000,
    "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
    ],
}
ADVISED = {
    "input_tokens": 1_000,
    "output_tokens": 100,
    "iterations": [
        {"type": "message", "input_tokens": 1_000, "output_tokens": 100},
        {"type": "advisor_message", "model": "claude-opus-5-5",
         "input_tokens": 50_000, "output_tokens": 3_000},
    ],
}  # fmt: skip
ADVISOR = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5-5"}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
COMPACTION: dict[str, Any] = {"context_management": {"edits": [{"type": "compact_20260112"}]}}


def claude(stream: bool, usage: dict[str, Any], *blocks: Any) -> Any:
    if stream:
        return vendor.message_stream(usage, blocks)
    return vendor.message(usage, [*blocks, {"type": "text", "text": "ok"}])


def openai(stream: bool, *output: Any, **more: Any) -> Any:
    usage: dict[str, Any] = {"input_tokens": 1_000, "output_tokens": 100}
    usage |= {"input_tokens_details": {"cached_tokens": 0}}
    usage |= {"output_tokens_details": {"reasoning_tokens": 0}}
    make = vendor.response_stream if stream else vendor.response
    return make(usage, output, **more)


def charged(gateway: Gateway) -> UsageEvent:
    event = gateway.books()[-1]
    assert event.status == 200 and not event.estimated
    return event


def receipt(person: Person, event: UsageEvent) -> Any:
    return person.client().get(f"/api/usage/{event.request_id}").json()


def check_receipt(person: Person, event: UsageEvent) -> list[dict[str, Any]]:
    """It adds up, line by line, to what was taken."""
    told = receipt(person, event)
    assert told["charged"] == told["total"] == dollars(event.cost)
    added = sum((Decimal(line["cost"]) for line in told["lines"]), Decimal(0)) * 10**9
    assert added.to_integral_value(ROUND_HALF_UP) == event.cost
    lines: list[dict[str, Any]] = told["lines"]
    return lines


def with_page(person: Person, event: UsageEvent, text: str) -> None:
    client = Client()
    client.force_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/usage/{event.request_id}").content.decode()
    assert text in page and f"${dollars(event.cost)}" in page


def test_a_compaction_is_priced_by_its_own_prompt(gateway: Gateway, alice: Person) -> None:
    """180k and 23k tokens: neither prompt is a long one, though their sum is."""
    fund(alice, "50")
    for stream in (False, True):
        vendor.answers(gateway, claude(stream, COMPACTED))
        vendor.messages(gateway, alice, "claude-sonnet-4.6", stream=stream, **COMPACTION)
        event = charged(gateway)
        assert event.cost == nanos("0.6765") and event.input == 203_000 and event.output == 4_500
        assert [line["kind"] for line in event.details["lines"]] == ["compaction", "message"]


def test_an_advisor_is_paid_at_its_own_price(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for stream in (False, True):
        vendor.answers(gateway, claude(stream, ADVISED))
        beta = "advisor-tool-2026-03-01"
        vendor.messages(gateway, alice, "claude-sonnet-4.6", beta, tools=[ADVISOR], stream=stream)
        assert vendor.sent(gateway)["tools"][0]["model"] == "claude-opus-4-6"
        event = charged(gateway)
        assert event.cost == nanos("0.0045") + nanos("0.25") + nanos("0.075")
        assert [line["model"] for line in event.details["lines"]] == [
            "claude-sonnet-4.6",
            "claude-opus-4.6",
        ]
        assert event.cost <= event.hold
        lines = check_receipt(alice, event)
        assert {line["kind"] for line in lines} == {"message", "advisor_message"}
        with_page(alice, event, "claude-opus-4.6, advice")


def test_a_search_of_claudes_costs_a_cent(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for stream in (False, True):
        usage: dict[str, Any] = {"input_tokens": 1_000, "output_tokens": 100}
        usage |= {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}
        vendor.answers(gateway, claude(stream, usage))
        vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=[SEARCH], stream=stream)
        event = charged(gateway)
        assert event.cost == nanos("0.0045") + nanos("0.02")
        (calls,) = (x for x in check_receipt(alice, event) if x["kind"] == "calls")
        assert (calls["name"], calls["calls"], calls["price_per_call"]) == (
            "web_search",
            2,
            "0.01",
        )
        with_page(alice, event, "$0.01 each")


def test_code_that_claude_runs_costs_five_minutes_of_a_container(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    for stream in (False, True):
        tool = {"type": "code_execution_20250825", "name": "code_execution"}
        ran = {"type": "server_tool_use", "id": "s", "name": "bash_code_execution", "input": {}}
        numbers = {"input_tokens": 1_000, "output_tokens": 100}
        vendor.answers(gateway, claude(stream, numbers, ran, ran))
        beta = "code-execution-2025-08-25"
        vendor.messages(gateway, alice, "claude-sonnet-4.6", beta, tools=[tool], stream=stream)
        assert charged(gateway).cost == nanos("0.0045") + nanos("0.004166667")


FACTORS: list[Any] = [
    ({"inference_geo": "us"}, {"inference_geo": "us"}, 11_000),
    ({"inference_geo": "us"}, {}, 11_000),
    ({"speed": "fast"}, {"speed": "fast"}, 60_000),
    ({"speed": "fast"}, {"speed": "standard"}, 10_000),
    ({"speed": "fast", "inference_geo": "us"}, {"speed": "fast"}, 66_000),
    ({"service_tier": "auto"}, {"service_tier": "standard"}, 10_000),
    ({}, {}, 10_000),
]


def test_a_factor_is_the_one_that_was_applied(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for (asked, applied, factor), stream in product(FACTORS, (False, True)):
        usage: dict[str, Any] = {"input_tokens": 1_000, "output_tokens": 100} | applied
        vendor.answers(gateway, claude(stream, usage))
        vendor.messages(gateway, alice, "claude-opus-4.6", stream=stream, **asked)
        event = charged(gateway)
        assert event.cost == nanos("0.0075") * factor // 10_000
        assert event.cost <= event.hold
        assert vendor.sent(gateway).keys() >= asked.keys()


def test_a_factor_is_only_where_the_model_has_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    reply = vendor.messages(gateway, alice, "claude-haiku-4.5", speed="fast", inference_geo="us")
    told = reply.headers["x-hontoni-left-out"]
    assert told == "value:inference_geo=us, value:speed=fast"
    assert not {"speed", "inference_geo"} & vendor.sent(gateway).keys()


CALL = {"status": "completed", "id": "c"}
IMAGES = {
    "image_gen": {
        "input_tokens": 300,
        "input_tokens_details": {"image_tokens": 100, "text_tokens": 200},
        "output_tokens": 4_000,
        "total_tokens": 4_300,
    },
    "web_search": {"num_requests": 0},
}
FOUND = CALL | {"type": "web_search_call"}
RAN = CALL | {"type": "code_interpreter_call"}


TOOLS: list[Any] = [
    ({"type": "web_search"}, [FOUND, FOUND | {"action": {"type": "search"}},
                              FOUND | {"action": {"type": "open_page"}}], {}, "0.02"),
    ({"type": "web_search"}, [FOUND], {"tool_usage": {"web_search": {"num_requests": 3}}},
     "0.03"),
    ({"type": "file_search", "vector_store_ids": ["vs_1"]},
     [CALL | {"type": "file_search_call", "queries": ["a"]}], {}, "0.0025"),
    ({"type": "code_interpreter", "container": {"type": "auto"}},
     [RAN | {"container_id": "a"}, RAN | {"container_id": "a"}], {}, "0.03"),
    ({"type": "image_generation"}, [CALL | {"type": "image_generation_call"}],
     {"tool_usage": IMAGES}, "0.162"),
]  # fmt: skip


def test_what_openais_tools_did_is_paid(gateway: Gateway, alice: Person) -> None:
    fund(alice, "100")
    for (tool, output, more, cost), stream in product(TOOLS, (False, True)):
        vendor.answers(gateway, openai(stream, *output, **more))
        vendor.responses(gateway, alice, "gpt-5.2", tools=[tool], stream=stream)
        assert vendor.sent(gateway)["tools"] == [tool]
        event = charged(gateway)
        assert event.cost == nanos("0.007") + nanos(cost)
        assert event.cost <= event.hold


TIERS: list[Any] = [
    ("flex", "flex", 5_000),
    ("flex", "default", 10_000),
    ("priority", "priority", 20_000),
    ("priority", "default", 10_000),
    ("auto", "default", 10_000),
]


def test_the_answers_tier_decides(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for (asked, applied, factor), stream in product(TIERS, (False, True)):
        vendor.answers(gateway, openai(stream, service_tier=applied))
        vendor.responses(gateway, alice, "gpt-5.2", service_tier=asked, stream=stream)
        assert vendor.sent(gateway)["service_tier"] == asked
        event = charged(gateway)
        assert event.cost == nanos("0.007") * factor // 10_000 <= event.hold


def test_chats_tier_decides_as_well(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    for stream in (False, True):
        usage: dict[str, Any] = {
            "prompt_tokens": 1_000,
            "completion_tokens": 100,
            "total_tokens": 1_100,
        }
        told: dict[str, Any] = {"id": "c", "created": 1, "model": "gpt-4o"}
        told |= {"service_tier": "priority"}
        said = {"role": "assistant", "content": "ok"}
        whole = told | {"object": "chat.completion", "usage": usage}
        whole |= {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
        chunk = told | {"object": "chat.completion.chunk"}
        first = chunk | {"choices": [{"index": 0, "delta": said, "finish_reason": "stop"}]}
        last = chunk | {"choices": [], "usage": usage}
        streamed = b"".join(b"data: %s\n\n" % each for each in map(vendor.dumps, (first, last)))
        vendor.answers(gateway, streamed + b"data: [DONE]\n\n" if stream else whole)
        gateway.chat(alice, service_tier="priority", stream=stream, max_tokens=2_000)
        assert vendor.sent(gateway)["service_tier"] == "priority"
        event = charged(gateway)
        assert event.cost == nanos("0.0035") * 17_000 // 10_000 <= event.hold


def test_thinking_told_in_the_sum_alone_is_one_lines(gateway: Gateway, alice: Person) -> None:
    """Three turns of a tool: no bucket of the event is lost between its lines."""
    fund(alice, "50")
    turns = [{"type": "message", "input_tokens": 500, "output_tokens": 40}] * 3
    usage: dict[str, Any] = {"input_tokens": 1_500, "output_tokens": 120, "iterations": turns}
    usage |= {"output_tokens_details": {"thinking_tokens": 90}}
    vendor.answers(gateway, vendor.message(usage))
    vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=[SEARCH])
    event = charged(gateway)
    assert (event.output, event.reasoning) == (30, 90)
    sums = [
        sum(bucket) for bucket in zip(*(x["usage"] for x in event.details["lines"]), strict=True)
    ]
    assert sums == list(event.usage) and event.cost == nanos("0.0063")


def test_turns_on_both_sides_of_the_long_context_are_priced_apart(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    turns = [
        {"type": "message", "input_tokens": 150_000, "output_tokens": 0},
        {"type": "message", "input_tokens": 250_000, "output_tokens": 100},
    ]
    usage: dict[str, Any] = {"input_tokens": 400_000, "output_tokens": 100, "iterations": turns}
    vendor.answers(gateway, vendor.message(usage))
    vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=[SEARCH | {"max_uses": 8}])
    event = charged(gateway)
    assert event.cost == nanos("0.45") + nanos("1.5") + nanos("0.00225")
    lines = check_receipt(alice, event)
    assert {line.get("long_context") for line in lines} == {True, False}


def test_the_price_is_the_rows_and_an_edit_is_a_new_price(gateway: Gateway, alice: Person) -> None:
    from gateway.catalogue import snapshot

    fund(alice, "50")
    Feature.objects.filter(name="web_search_*").update(amount=nanos("0.5"))
    snapshot.forget()
    usage: dict[str, Any] = {"input_tokens": 1_000, "output_tokens": 100}
    usage |= {"server_tool_use": {"web_search_requests": 1}}
    vendor.answers(gateway, vendor.message(usage))
    vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=[SEARCH])
    event = charged(gateway)
    assert event.cost == nanos("0.5045") and Price.objects.filter(pk=event.price_id).exists()
    lines = check_receipt(alice, event)
    assert [x["kind"] for x in lines if x.get("calls")] == ["calls"]


def test_a_plain_request_has_no_lines_of_its_own(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    vendor.messages(gateway, alice, "claude-sonnet-4.6")
    event = charged(gateway)
    assert "lines" not in event.details and "left_out" not in event.details
