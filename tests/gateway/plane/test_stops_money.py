"""A stop sequence the model has none of is exact: reasoning in full, text up to the stop."""

from typing import Any

import pytest

from hontoni.money import nanos
from tests.gateway.plane.test_faults import at_rest
from tests.gateway.plane.test_hidden_work import CHAT, MESSAGES, asked, cost, leave_after, settled
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

DOORS = [(CHAT, "stop"), (MESSAGES, "stop_sequences")]
TEXT = (
    "[[usage: 1000 30200 0 30000]] [[say: one two<<<END>>>three four]]"  # 7 of 26 bytes are shown
)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize(("door", "member"), DOORS)
def test_reasoning_is_charged_in_full_and_text_up_to_the_stop(
    gateway: Gateway, alice: Person, door: Any, member: str, stream: bool
) -> None:
    fund(alice, "10")
    body = asked(door, "gpt-5.2", TEXT, stream=stream, **{member: ["<<<END>>>"]})
    with gateway.http(alice) as http:
        reply = http.post(door[0], json=body)
    assert reply.status_code == 200 and "three" not in reply.text
    event = settled(gateway, alice)
    assert (event.input, event.output, event.reasoning) == (1000, 54, 30_000)  # 200 x 7 / 26
    assert (event.cost, event.estimated) == (cost(event), False)
    assert event.details["rule"] == "stop"
    if not stream:
        usage = reply.json()["usage"]
        assert usage.get("completion_tokens", usage.get("output_tokens")) == 30_054
        assert nanos(reply.headers["x-hontoni-cost"]) == event.cost


@pytest.mark.parametrize("text", ["<<<END>>>never", "all of it", "all of it<<<END>>>"])
def test_a_stop_on_the_first_word_or_never_met(gateway: Gateway, alice: Person, text: str) -> None:
    fund(alice, "10")
    asks = f"[[usage: 1000 3200 0 3000]] [[say: {text}]]"
    reply = gateway.chat(alice, asks, model="gpt-5.2", stop=["<<<END>>>"], max_tokens=9_000)
    shown = text.split("<<<END>>>")[0]
    assert (reply.json()["choices"][0]["message"]["content"] or "") == shown
    event = settled(gateway, alice)
    assert event.reasoning == 3000
    assert event.output == -(-200 * len(shown) // len(text))
    assert event.cost == cost(event) > 0


def test_who_leaves_at_the_stop_pays_the_same(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    asks = "[[slow: 0.05]] " + TEXT
    body = asked(CHAT, "gpt-5.2", asks, stop=["<<<END>>>"])
    leave_after(gateway, alice, CHAT[0], body, b"one", b"two")
    event = settled(gateway, alice)
    assert event.reasoning == 30_000 and event.cost == cost(event)


def test_the_client_has_its_end_at_once(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    asks = "[[slow: 0.1]] [[say: one END " + "and much more " * 40 + "]]"
    body = asked(CHAT, "gpt-4o", asks, stop=["END", "B", "C", "D", "E"], max_tokens=2_000)
    body = asked(MESSAGES, "gpt-4o", asks, stop_sequences=["END"], max_tokens=2_000)
    read = leave_after(gateway, alice, MESSAGES[0], body)
    assert b"message_stop" in read and not at_rest(alice)
    record = gateway.vendors.last
    assert record.finished_at is None
    event = settled(gateway, alice)
    assert not gateway.vendors.ended(record).aborted
    assert (event.details["rule"], event.estimated) == ("stop", False)
    assert 0 < event.output < 10 and event.aborted is False


def test_what_is_given_away_has_a_bound_a_day(gateway: Gateway, alice: Person) -> None:
    """The text behind the stop: a dollar a day of it is free."""
    fund(alice, "10")
    asks = "[[usage: 100 26000 0 0]] [[say: one two<<<END>>>three four]]"
    body = {"model": "gpt-5.2", "stop": ["<<<END>>>"], "max_tokens": 30_000}
    for _ in range(3):
        assert gateway.chat(alice, asks, **body).status_code == 200
    until(lambda: at_rest(alice), "still open")
    first, second, third = gateway.books()
    assert [event.output for event in (first, second, third)] == [7_000, 7_000, 26_000]
    assert [e.details["rule"] for e in (first, second, third)] == ["stop", "stop", "bound"]
    assert third.cost == cost(third)


@pytest.mark.parametrize(
    ("body", "text", "rule"),
    [
        ({"stop": ["END"]}, "[[usage: 700 0 0 0]] [[say: END]]", ""),
        ({"stop": ["END"], "model": "gpt-5.2"}, "[[usage: 700 0 0 0]] [[say: ENDone]]", "stop"),
        ({"max_tokens": 1}, "[[usage: 700 0 0 0]] [[length]] [[say: ]]", ""),
    ],
)
def test_an_empty_answer_that_ended_for_a_reason_is_paid(
    gateway: Gateway, alice: Person, body: dict[str, Any], text: str, rule: str
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice, text, **body).status_code == 200
    event = settled(gateway, alice)
    assert (event.input, event.output, event.cost) == (700, 0, cost(event))
    assert event.details.get("rule", "") == rule


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "streamed"])
def test_an_empty_answer_without_a_reason_is_free_up_to_a_bound(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    """Twenty-four cents each: what is beyond a dollar a day is charged."""
    fund(alice, "10")
    text = "[[usage: 120000 0 0 0]] [[say: ]]" + "x" * 130_000
    for _ in range(4):
        reply = gateway.chat(alice, text, model="gpt-4.1", stream=stream)
        assert reply.status_code == 200
    until(lambda: at_rest(alice), "still open")
    assert [event.details["rule"] for event in gateway.books()] == ["given"] * 4
    assert gateway.balance(alice) == nanos("10")
    assert gateway.chat(alice, text, model="gpt-4.1", stream=stream).status_code == 200
    until(lambda: at_rest(alice), "still open")
    last = gateway.books()[-1]
    assert (last.details["rule"], last.cost) == ("bound", cost(last)) and last.cost > 0


def test_a_vendors_failure_is_free_up_to_the_same_bound(gateway: Gateway, alice: Person) -> None:
    """Claude tells its input before it fails: 54 cents of it each time."""
    fund(alice, "10")
    text = "[[usage: 180000 9 0 0]] [[say: one two three four]] [[midstream]]" + "x" * 190_000
    body = asked(MESSAGES, "claude-sonnet-4.5", text, max_tokens=100)
    for _ in range(2):
        read = leave_after(gateway, alice, MESSAGES[0], body)
        assert b"event: error" in read
        until(lambda: at_rest(alice), "still open")
    first, second = gateway.books()
    assert (first.cost, first.details["rule"]) == (0, "given")
    assert (
        second.details["rule"] == "bound" and second.cost >= 180_000 * second.price.input // 10**6
    )
