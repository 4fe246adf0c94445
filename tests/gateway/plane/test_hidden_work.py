"""A client that leaves does not make free what it could not see."""

from typing import Any

import httpx
import pytest
from django.test import Client
from django.urls import reverse

from gateway.metering import calibration
from gateway.plane import admission, drains
from gateway.usage.models import UsageEvent
from hontoni.money import nanos, per_million
from tests.gateway.plane.test_faults import at_rest
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

SLOWLY = "[[slow: 0.02]] [[say: " + "one two three four " * 10 + "]]"
REASONED = (
    "[[usage: 1000 30100 0 30000]] " + SLOWLY
)  # OpenAI and Claude count it inside the output
CHAT: tuple[str, dict[str, Any]] = ("/v1/chat/completions", {"max_tokens": 40_000})
RESPONSES: tuple[str, dict[str, Any]] = ("/v1/responses", {"max_output_tokens": 40_000})
MESSAGES: tuple[str, dict[str, Any]] = ("/v1/messages", {"max_tokens": 40_000})
THINKING = {"type": "enabled", "budget_tokens": 31_999}
SHOWN = [b'"content":"one', b"output_text.delta", b"text_delta"]


def asked(door: tuple[str, dict[str, Any]], model: str, text: str, **more: Any) -> dict[str, Any]:
    name = "input" if door is RESPONSES else "messages"
    return {"model": model, name: [{"role": "user", "content": text}], **door[1], **more}


def leave_after(
    gateway: Gateway, person: Person, path: str, body: dict[str, Any], *marks: bytes
) -> bytes:
    """Ask for a stream and hang up once one of the marks was read, or at its end."""
    with (
        gateway.http(person) as http,
        http.stream("POST", path, json=body | {"stream": True}) as reply,
    ):
        assert reply.status_code == 200, reply.read()
        read = b""
        for chunk in reply.iter_bytes():
            read += chunk
            if any(mark in read for mark in marks):
                break
    return read


def settled(gateway: Gateway, person: Person) -> UsageEvent:
    until(lambda: at_rest(person), "its slot or its hold is still taken")
    (event,) = gateway.books()
    assert gateway.balance(person) == nanos("10") - event.cost
    return event


def cost(event: UsageEvent) -> int:
    spent = event.input * event.price.input
    return per_million(
        spent + event.output * event.price.output + event.reasoning * event.price.reasoning
    )


@pytest.mark.parametrize(
    ("door", "model", "more"),
    [
        (CHAT, "gpt-5.2:max", {}),
        (RESPONSES, "gpt-5.2:max", {}),
        (MESSAGES, "gpt-5.2:max", {}),
        (MESSAGES, "claude-opus-4.5", {"thinking": THINKING}),
        (CHAT, "claude-opus-4.5:high", {}),
        (RESPONSES, "claude-opus-4.5:high", {}),
        (CHAT, "gemini-2.5-pro", {"reasoning_effort": "high"}),
        (MESSAGES, "gemini-2.5-pro", {"thinking": THINKING}),
    ],
)
def test_reasoning_nobody_saw_is_paid_by_who_leaves_at_the_first_word(
    gateway: Gateway, alice: Person, door: tuple[str, dict[str, Any]], model: str, more: Any
) -> None:
    fund(alice, "10")
    text = "[[usage: 1000 100 0 30000]] " + SLOWLY if model.startswith("gemini") else REASONED
    leave_after(gateway, alice, door[0], asked(door, model, text, **more), *SHOWN)
    event = settled(gateway, alice)
    assert (event.input, event.output, event.reasoning) == (1000, 100, 30_000)
    assert (event.aborted, event.estimated) == (True, False)
    assert (event.cost, event.details["rule"]) == (cost(event), "drained")
    assert not gateway.vendors.ended(gateway.vendors.last).aborted


@pytest.mark.parametrize(
    ("model", "mark"),
    [
        ("gpt-5.2:max", b"response.created"),
        ("claude-opus-4.5:max", b"thinking"),
        ("claude-opus-4.5:max", b"message_start"),
    ],
)
def test_who_leaves_while_it_reasons_pays_for_the_reasoning_until_then(
    gateway: Gateway, alice: Person, model: str, mark: bytes
) -> None:
    fund(alice, "10")
    calibration.forget()
    door = RESPONSES if model.startswith("gpt") else MESSAGES
    text = "[[slow: 0.3]] [[think: " + "one two three " * 30 + "]] [[say: hi]]"
    leave_after(gateway, alice, door[0], asked(door, model, text), mark)
    event = settled(gateway, alice)
    assert gateway.vendors.ended(gateway.vendors.last).aborted
    assert (event.aborted, event.estimated) == (True, True)
    assert event.details["rule"] == "estimated"
    assert 0 < event.reasoning <= 60 * event.duration_ms / 1000 + 1
    assert event.cost == cost(event) > 0


def test_the_estimate_of_reasoning_knows_how_fast_the_model_thinks(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    calibration.forget()
    for person in (alice, bob):
        fund(person, "10")
    text = "[[usage: 50 20010 0 20000]] [[ponder: 1]] [[slow: 0.05]] [[say: hello]]"
    leave_after(gateway, bob, "/v1/responses", asked(RESPONSES, "gpt-5.2:max", text))
    learnt = calibration.of("gpt-5.2").reasoning.value
    assert learnt > 5_000
    leave_after(
        gateway, alice, "/v1/responses", asked(RESPONSES, "gpt-5.2:max", text), b"response.created"
    )
    until(lambda: at_rest(alice), "still open")
    event = gateway.books()[-1]
    assert event.estimated and event.reasoning > 100
    calibration.forget()


@pytest.mark.parametrize("model", ["gpt-5.2:max", "claude-opus-4.5:max"])
def test_a_whole_answer_that_nobody_waits_for_is_paid(
    gateway: Gateway, alice: Person, model: str
) -> None:
    """Its vendor tells nothing before it tells everything."""
    fund(alice, "10")
    door = RESPONSES if model.startswith("gpt") else MESSAGES
    text = "[[delay: 1]] [[usage: 1000 30100 0 30000]] [[say: hello]]"
    with gateway.http(alice) as http, pytest.raises(httpx.ReadTimeout):
        http.post(door[0], json=asked(door, model, text), timeout=0.5)
    assert not at_rest(alice)  # its slot and its hold are kept
    event = settled(gateway, alice)
    assert (event.reasoning, event.details["rule"]) == (30_000, "drained")
    assert (event.cost, event.status, event.aborted) == (cost(event), 499, True)


@pytest.mark.parametrize(
    ("door", "model"), [(CHAT, "gpt-4o"), (MESSAGES, "claude-sonnet-4.5"), (MESSAGES, "gpt-4o")]
)
def test_where_everything_is_seen_the_vendor_is_left_at_once(
    gateway: Gateway, alice: Person, door: tuple[str, dict[str, Any]], model: str
) -> None:
    fund(alice, "10")
    text = "[[slow: 0.05]] [[say: " + "one two three four " * 40 + "]]"
    leave_after(gateway, alice, door[0], asked(door, model, text, max_tokens=2_000), *SHOWN)
    event = settled(gateway, alice)
    assert gateway.vendors.ended(gateway.vendors.last).aborted
    assert (event.details["rule"], event.reasoning) == ("left", 0)
    assert 0 < event.output < 100 and event.cost == cost(event)


@pytest.mark.parametrize("door", [CHAT, RESPONSES, MESSAGES])
def test_who_leaves_a_model_that_does_not_reason_before_its_first_word_pays_the_prompt(
    gateway: Gateway, alice: Person, door: tuple[str, dict[str, Any]]
) -> None:
    fund(alice, "10")
    calibration.of("gpt-4o").thought(80_000, 1)  # whatever else it may have been seen to do
    body = asked(door, "gpt-4o", "[[ponder: 20]] [[say: hello]]")
    leave_after(gateway, alice, door[0], body, b"role", b"created", b"message_start")
    calibration.forget()
    event = settled(gateway, alice)
    assert (event.output, event.reasoning, event.details["rule"]) == (1, 0, "left")
    assert 5 < event.input < 20 and event.cost == cost(event)


@pytest.mark.parametrize(
    ("door", "model", "mark"),
    [(CHAT, "gpt-4o", b'"usage":{'), (MESSAGES, "claude-sonnet-4.5", b"message_delta")],
)
def test_who_leaves_behind_the_numbers_pays_the_numbers(
    gateway: Gateway, alice: Person, door: tuple[str, dict[str, Any]], model: str, mark: bytes
) -> None:
    fund(alice, "10")
    text = "[[slow: 0.2]] [[usage: 700 60 0 0]] [[say: hello]]"
    body = asked(door, model, text, max_tokens=2_000)
    body |= {"stream_options": {"include_usage": True}} if door is CHAT else {}
    leave_after(gateway, alice, door[0], body, mark)
    event = settled(gateway, alice)
    assert (event.input, event.output, event.estimated) == (700, 60, False)
    assert event.cost == cost(event)


def test_a_drain_has_bounds_and_what_it_did_not_hear_is_estimated(
    gateway: Gateway, alice: Person, settings: Any
) -> None:
    settings.DRAIN_SECONDS = 0.3
    fund(alice, "10")
    text = "[[slow: 0.1]] [[say: " + "one two three four " * 60 + "]]"
    leave_after(gateway, alice, "/v1/responses", asked(RESPONSES, "gpt-5.2:max", text), SHOWN[1])
    event = settled(gateway, alice)
    assert gateway.vendors.ended(gateway.vendors.last).aborted
    assert (event.estimated, event.details["rule"]) == (True, "estimated")
    assert event.output > 0 and event.reasoning > 0 and event.cost == cost(event)


@pytest.mark.outside_the_law("its reasoning takes no time, by which it is estimated")
def test_no_more_drains_than_the_setting_says(
    gateway: Gateway, alice: Person, settings: Any
) -> None:
    settings.DRAINS_AT_ONCE = 0
    fund(alice, "10")
    leave_after(
        gateway, alice, "/v1/responses", asked(RESPONSES, "gpt-5.2:max", REASONED), SHOWN[1]
    )
    event = settled(gateway, alice)
    assert gateway.vendors.ended(gateway.vendors.last).aborted
    assert event.estimated and event.cost > 0


def test_a_process_that_ends_settles_its_drains(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(drains, "STOP_SECONDS", 0.1)
    fund(alice, "10")
    text = "[[slow: 0.3]] [[say: " + "one two three four " * 60 + "]]"
    leave_after(gateway, alice, "/v1/responses", asked(RESPONSES, "gpt-5.2:max", text), SHOWN[1])
    task = until(lambda: next(iter(drains._running), None), "nothing is drained")
    asyncio.run_coroutine_threadsafe(drains.stop(), task.get_loop()).result(10)
    assert not drains._running and not admission.LIVE
    event = settled(gateway, alice)
    assert event.estimated and event.aborted and event.cost == cost(event) > 0


def test_an_answer_cut_off_by_its_deadline_is_paid_and_told(
    gateway: Gateway, alice: Person
) -> None:
    from hontoni.asgi import v1

    fund(alice, "10")
    before = v1.config
    v1.config = before._replace(total_seconds=0.6)
    try:
        text = "[[slow: 0.1]] [[say: " + "one two three four " * 60 + "]]"
        read = leave_after(
            gateway, alice, "/v1/chat/completions", asked(CHAT, "gpt-4o", text, max_tokens=2_000)
        )
    finally:
        v1.config = before
    assert b'"error"' in read and b"[DONE]" not in read
    event = settled(gateway, alice)
    assert event.status == 504 and event.cost == cost(event) > 0


@pytest.mark.parametrize(
    ("door", "model", "more"),
    [
        (CHAT, "gpt-4o", {"max_tokens": 2_000}),
        (RESPONSES, "gpt-5.2:max", {}),
        (CHAT, "claude-opus-4.5:high", {}),
        (MESSAGES, "claude-opus-4.5", {"thinking": THINKING}),
        (MESSAGES, "gemini-2.5-pro", {"thinking": THINKING}),
    ],
)
def test_wherever_it_is_cut_it_is_settled_once_and_what_was_read_is_paid(
    gateway: Gateway, alice: Person, door: tuple[str, dict[str, Any]], model: str, more: Any
) -> None:
    fund(alice, "10")
    text = "[[slow: 0.004]] [[say: " + "one two three four " * 10 + "]]"
    whole = len(leave_after(gateway, alice, door[0], asked(door, model, text, **more)))
    for share in (0.02, 0.2, 0.4, 0.7, 0.95, 0.999):
        body = asked(door, model, text, **more) | {"stream": True}
        with gateway.http(alice) as http, http.stream("POST", door[0], json=body) as reply:
            read = b""
            for chunk in reply.iter_raw():
                read += chunk
                if len(read) > whole * share:
                    break
        until(lambda: at_rest(alice), "its slot or its hold is still taken")
        event = gateway.books()[-1]
        assert event.cost == cost(event) <= event.hold
        assert event.cost > 0 or b"one" not in read
    events = gateway.books()
    assert len(events) == 7 and gateway.balance(alice) == nanos("10") - sum(e.cost for e in events)


def test_who_leaves_before_anything_came_costs_us_no_more_than_a_bound_a_day(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    prompt = "[[delay: 20]]" + "word " * 60_000  # 75,000 tokens: nearly 38 cents
    for _ in range(3):
        with gateway.http(alice) as http, pytest.raises(httpx.ReadTimeout):
            body = asked(CHAT, "gpt-5.2", prompt, reasoning_effort="none", max_tokens=50)
            http.post("/v1/chat/completions", json=body, timeout=0.5)
        until(lambda: at_rest(alice), "its slot or its hold is still taken")
    events = gateway.books()
    assert [event.details["rule"] for event in events] == ["given", "given", "bound"]
    assert events[2].estimated and 70_000 < events[2].input < 80_000
    assert events[2].cost == cost(events[2]) > 0


def test_page_and_api_name_the_rule(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    leave_after(
        gateway, alice, "/v1/responses", asked(RESPONSES, "gpt-5.2:max", REASONED), SHOWN[1]
    )
    event = settled(gateway, alice)
    told = alice.client().get(f"/api/usage/{event.request_id}").json()
    assert (told["rule"], told["charged"]) == ("drained", told["total"])
    browser = Client()
    browser.force_login(alice.user)
    page = browser.get(reverse("usage-receipt", args=[event.request_id])).content.decode()
    assert "it was heard to its end" in page
