"""/v1/responses over a WebSocket: what a POST does, said in messages."""

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from pytest_django import Settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from accounts.keys import api_keys
from gateway.plane import sockets, watching
from gateway.plane.socket_turns import Turn
from gateway.usage.models import UsageEvent
from hontoni import bodies
from sandbox.vendors.faults import Fault
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

OURS = {"openai-beta": "responses_websockets=2026-02-06"}
ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
SLOW = "[[slow: 0.05]] [[say: " + "one two three " * 40 + "]]"


@contextmanager
def opened(gateway: Gateway, person: Person, path: str = "/v1/responses") -> Iterator[Any]:
    address = gateway.url.replace("http", "ws") + path
    headers = {"authorization": f"Bearer {person.raw}", **OURS}
    with connect(address, additional_headers=headers, open_timeout=30, close_timeout=1) as socket:
        yield socket


def refused(gateway: Gateway, person: Person, path: str = "/v1/responses") -> int:
    """The status of a handshake that fails."""
    with pytest.raises(InvalidStatus) as caught, opened(gateway, person, path):
        pass
    return int(caught.value.response.status_code)


def send(socket: ClientConnection, text: Any = "Hello", **more: Any) -> None:
    event = {"type": "response.create", "model": "gpt-5.2", "input": text, "store": False}
    socket.send(orjson.dumps(event | more).decode())


def heard(socket: ClientConnection) -> list[dict[str, Any]]:
    """The events up to the end of a response."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ENDS:
        events.append(orjson.loads(socket.recv(30)))
    return events


def asked(socket: ClientConnection, text: Any = "Hello", **more: Any) -> dict[str, Any]:
    """The last event of its answer."""
    send(socket, text, **more)
    return heard(socket)[-1]


def said(event: dict[str, Any]) -> str:
    parts = [part for item in event["response"]["output"] for part in item.get("content") or ()]
    return "".join(part.get("text", "") for part in parts)


MODELS = ("gpt-5.2", "claude-sonnet-4.5", "gemini-2.5-pro", "gpt-4o")


@pytest.mark.parametrize("model", MODELS)
def test_a_message_is_answered_and_billed_as_a_post_is(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    body = {"model": model, "input": "[[say: a b c]]", "store": False, "stream": True}
    with gateway.http(alice) as http:
        streamed = http.post("/v1/responses", json=body)
    kinds = [line[7:] for line in streamed.text.split("\n") if line.startswith("event: ")]
    with opened(gateway, alice, "/v1/v1/responses") as socket:
        send(socket, "[[say: a b c]]", model=model)
        events = heard(socket)
    assert [event["type"] for event in events] == kinds
    assert said(events[-1]) == "a b c" and events[-1]["response"]["model"] == model
    numbers = [event["sequence_number"] for event in events if "sequence_number" in event]
    assert numbers == list(range(len(events)))
    posted, messaged = gateway.books()
    assert posted.cost == messaged.cost > 0 and messaged.stream
    assert f"req_{messaged.id.hex}" == events[0]["headers"]["x-request-id"]
    assert events[0]["headers"]["x-ratelimit-remaining-rpm"]


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")
def test_openais_own_client_speaks_with_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with gateway.openai(alice).responses.connect() as connection:
        connection.response.create(model="gpt-5.2", input="[[say: hi]]", stream_id="main")
        for event in connection:
            assert event.stream_id == "main"
            if event.type == "response.completed":
                assert event.response.output_text == "hi"
                break
        else:
            pytest.fail("it never ended")


@pytest.mark.parametrize("model", ["gpt-5.2", "claude-sonnet-4.5"])
def test_the_last_response_is_remembered_though_it_is_stored_nowhere(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as socket:
        first = asked(socket, "[[say: Paris]]", model=model)["response"]["id"]
        second = asked(socket, "And then?", model=model, previous_response_id=first)
        sent = str(gateway.vendors.last.body)
        assert "Paris" in sent and "And then?" in sent and "previous_response_id" not in sent
        third = second["response"]["id"]
        assert asked(socket, "So?", model=model, previous_response_id=third)["type"] == ENDS[0]
        assert "And then?" in str(gateway.vendors.last.body)
        gone = asked(socket, "?", model=model, previous_response_id=first)
        assert (gone["status"], gone["error"]["code"]) == (400, "previous_response_not_found")
    with opened(gateway, alice) as socket:
        elsewhere = asked(socket, "?", previous_response_id=third)
        assert elsewhere["error"]["code"] == "previous_response_not_found"


def test_what_is_kept_is_found_on_another_socket_and_by_post(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "10")
    fund(bob, "10")
    with opened(gateway, alice) as socket:
        first = asked(socket, "[[say: Paris]]", store=True)["response"]["id"]
    with opened(gateway, alice) as socket:
        second = asked(socket, "More?", store=False, previous_response_id=first)["response"]["id"]
        assert "Paris" in str(gateway.vendors.last.body)
        last = asked(socket, "Still?", store=True, previous_response_id=second)["response"]["id"]
        assert "More?" in str(gateway.vendors.last.body)
    with gateway.http(alice) as http:
        body = {"model": "gpt-5.2", "input": "Now?", "previous_response_id": last}
        assert http.post("/v1/responses", json=body).status_code == 200
        assert all(each in str(gateway.vendors.last.body) for each in ("Paris", "More?", "Still?"))
    with opened(gateway, bob) as socket:
        stolen = asked(socket, "?", previous_response_id=last)
        assert stolen["error"]["code"] == "previous_response_not_found"


def test_a_warm_up_asks_nobody_costs_nothing_and_can_be_gone_on_from(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    rules = [{"role": "developer", "content": "You are terse."}]
    with opened(gateway, alice) as socket:
        send(socket, rules, generate=False)
        events = heard(socket)
        assert [event["type"] for event in events] == ["response.created", "response.completed"]
        assert events[-1]["response"]["output"] == []
        assert gateway.vendors.requests == [] and gateway.books() == []
        warm = events[-1]["response"]["id"]
        assert asked(socket, "[[say: ok]]", previous_response_id=warm)["type"] == ENDS[0]
        assert "You are terse." in str(gateway.vendors.last.body)
        assert asked(socket, "x", model="none", generate=False)["status"] == 404
    assert len(gateway.books()) == 1


def test_lanes_run_beside_each_other_and_each_in_its_order(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    fund(alice, "10")
    settings.CONCURRENCY_WAIT_SECONDS = 30
    with opened(gateway, alice) as socket:
        send(socket, "[[say: one]]", stream_id="a")
        send(socket, "[[say: two]]", stream_id="b")
        send(socket, "[[say: three]]", stream_id="a")
        ends: list[dict[str, Any]] = []
        while len(ends) < 3:
            ends += [event for event in heard(socket) if event["type"] in ENDS]
    order = [said(event) for event in ends if event["stream_id"] == "a"]
    assert order == ["one", "three"]
    assert {event["stream_id"] for event in ends} == {"a", "b"}
    assert [event.status for event in gateway.books()] == [200, 200, 200]


def test_a_lane_forks_from_what_another_one_said(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as socket:
        first = asked(socket, "[[say: Paris]]", stream_id="plan")["response"]["id"]
        failed = asked(socket, "?", model="none", stream_id="critic", previous_response_id=first)
        assert failed["status"] == 404 and failed["stream_id"] == "critic"
        forked = asked(socket, "Gaps?", stream_id="critic", previous_response_id=first)
        assert forked["type"] == ENDS[0] and "Paris" in str(gateway.vendors.last.body)
        onward = asked(socket, "On.", stream_id="plan", previous_response_id=first)
        assert onward["type"] == ENDS[0]


REFUSED: list[tuple[str, str]] = [
    ("{", "invalid_json"),
    ("[]", "invalid_json"),
    ('{"type":"session.update"}', "unknown_event_type"),
    ("{}", "unknown_event_type"),
    ('{"type":"response.create","stream_id":""}', "invalid_stream_id"),
    ('{"type":"response.create","stream_id":"a b"}', "invalid_stream_id"),
    ('{"type":"response.create","stream_id":7}', "invalid_stream_id"),
    ('{"type":"response.create","model":"gpt-5.2"}', "invalid_request"),
    ('{"type":"response.create","model":"gpt-5.2","input":"x","Stream":1}', "invalid_request"),
]


def test_what_makes_no_sense_is_refused_and_the_socket_goes_on(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as socket:
        for message, code in REFUSED:
            socket.send(message)
            (event,) = heard(socket)
            assert (event["type"], event["status"]) == ("error", 400)
            assert event["error"]["code"] == code, message
        for number in range(32):
            asked(socket, "x", model="none", stream_id=f"lane{number}")
        assert asked(socket, stream_id="lane32")["error"]["code"] == (
            "websocket_stream_limit_reached"
        )
        socket.send('{"type":"response.processed","response_id":"resp_1"}')
        assert asked(socket, stream_id="lane3")["type"] == ENDS[0]
        assert asked(socket, background=True, stream=False)["type"] == ENDS[0]
    assert len(gateway.books()) == 2


def test_what_refuses_a_post_refuses_a_message_in_the_same_words(
    gateway: Gateway, alice: Person
) -> None:
    with opened(gateway, alice) as socket:
        poor = asked(socket)
        assert (poor["status"], poor["error"]["code"]) == (402, "insufficient_balance")
        assert poor["headers"]["x-should-retry"] == "false" and poor["request_id"]
        fund(alice, "10")
        assert asked(socket)["type"] == ENDS[0]
    with opened(gateway, alice) as socket:
        gateway.vendors.faults.append(Fault(status=400, path="/responses"))
        theirs = asked(socket, "x")
        assert theirs["status"] == 400
        gateway.vendors.faults.append(Fault(status=500, path="/responses"))
        assert asked(socket, "x")["status"] == 500
        broken = asked(socket, "[[midstream]] [[say: a b c d e f]]")
        assert broken["type"] == "response.failed"
        assert asked(socket)["type"] == ENDS[0]


def test_a_handshake_without_a_key_is_a_401_and_elsewhere_there_is_no_socket(
    gateway: Gateway, alice: Person, carol: Person, settings: Settings
) -> None:
    address = gateway.url.replace("http", "ws")
    for person, status in ((None, 401), (carol, 401)):
        headers = {"authorization": f"Bearer {person.raw}"} if person else {}
        with pytest.raises(InvalidStatus) as caught:
            connect(f"{address}/v1/responses", additional_headers=headers)
        assert caught.value.response.status_code == status
        assert b'"authentication_error"' in (caught.value.response.body or b"")
        assert caught.value.response.headers["x-should-retry"] == "false"
    settings.SOCKETS_PER_ACCOUNT = 1
    with opened(gateway, alice):
        assert refused(gateway, alice) == 429
    until(lambda: not sockets._of_account, "it is still counted")
    assert refused(gateway, alice, "/v1/messages") == 426


def test_who_leaves_pays_what_was_produced_and_frees_everything(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as socket:
        send(socket, SLOW, model="gpt-4o")
        while orjson.loads(socket.recv(30))["type"] != "response.output_text.delta":
            pass
    until(lambda: len(gateway.books()) == 1, "it is not settled")
    (event,) = gateway.books()
    assert event.aborted and event.cost > 0
    assert not bodies._held and not sockets._OPEN
    assert gateway.chat(alice).status_code == 200


def test_a_key_that_is_revoked_ends_its_socket(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as asking, opened(gateway, alice) as idle:
        assert asked(asking)["type"] == ENDS[0]
        api_keys.revoke(alice.key)
        refused = asked(asking)
        assert (refused["status"], refused["error"]["type"]) == (401, "authentication_error")
        with pytest.raises(ConnectionClosed) as caught:
            asking.recv(10)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008
        for socket in sockets._OPEN:
            socket.proven -= sockets.PROVE_SECONDS
        _looked()
        with pytest.raises(ConnectionClosed) as caught:
            idle.recv(10)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008
    assert UsageEvent.objects.count() <= 1


def _looked() -> None:
    """As the gateway looks at its open sockets now and then."""
    loop = next(iter(sockets._OPEN)).loop
    asyncio.run_coroutine_threadsafe(sockets.look(), loop).result(10)


def test_silence_and_an_hour_end_it_but_no_answer(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as socket:
        assert asked(socket)["type"] == ENDS[0]
        settings.SOCKET_IDLE_SECONDS = 0
        _looked()
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(10)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1000
    settings.SOCKET_IDLE_SECONDS = 900
    with opened(gateway, alice) as socket:
        send(socket, "[[slow: 0.02]] [[say: one two three four five six]]", model="gpt-4o")
        socket.recv(30)
        next(iter(sockets._OPEN)).opened -= sockets.MOST_SECONDS
        _looked()
        send(socket, "more")
        found: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed):
            while True:
                found.append(orjson.loads(socket.recv(30)))
    limits = [event for event in found if event["type"] == "error"]
    assert [e["error"]["code"] for e in limits] == ["websocket_connection_limit_reached"] * 2
    assert any(event["type"] == ENDS[0] for event in found)


def test_a_process_that_ends_finishes_what_it_is_at_and_takes_nothing_new(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as busy, opened(gateway, alice) as idle:
        send(busy, "[[slow: 0.02]] [[say: one two three four five six]]", model="gpt-4o")
        busy.recv(30)
        for socket in list(sockets._OPEN):
            stop = socket.wire._protocol.shutdown  # as the server calls it
            socket.loop.call_soon_threadsafe(stop)
        with pytest.raises(ConnectionClosed) as caught:
            idle.recv(10)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
        send(busy, "more")
        found: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                found.append(orjson.loads(busy.recv(30)))
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
    assert any(event["type"] == ENDS[0] for event in found)
    refused = [event for event in found if event["type"] == "error"]
    assert [(e["status"], e["error"]["code"]) for e in refused] == [(503, "server_stopping")]


def test_what_outlasts_the_patience_of_an_ending_process_is_told_so(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    try:
        with opened(gateway, alice) as socket:
            send(socket, SLOW, model="gpt-4o")
            socket.recv(30)
            until(lambda: bool(watching._Last.begun), "nobody watches it")
            loop = next(iter(sockets._OPEN)).loop
            loop.call_soon_threadsafe(watching.cut_all)
            assert heard(socket)[-1]["type"] == "response.failed"
    finally:
        watching._Last.cutting = False
    (event,) = until(gateway.books, "it was never settled")
    assert event.cost > 0 and event.error == "server_stopping"


def test_a_large_message_is_a_request_and_a_larger_one_ends_the_socket(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "100")
    with opened(gateway, alice) as socket:
        assert asked(socket, "word " * 100_000, model="gemini-2.5-pro")["type"] == ENDS[0]
        assert gateway.vendors.last.body
        with pytest.raises(ConnectionClosed) as caught:
            socket.send(" " * (32 * 1024 * 1024 + 1))
            socket.recv(30)
        assert caught.value.rcvd is None or caught.value.rcvd.code == 1009
    until(lambda: not bodies._held, "its memory is still held")


def test_no_more_wait_than_may(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with opened(gateway, alice) as socket:
        for _ in range(40):
            send(socket, "[[slow: 0.05]] [[say: one two three four five six]]", generate=False)
            send(socket, SLOW, model="gpt-4o")
        events: list[dict[str, Any]] = []
        while not any(e.get("error", {}).get("code") == "websocket_queue_full" for e in events):
            events += heard(socket)
    until(lambda: not sockets._OPEN, "it is still open")
    gateway.books()


def test_threads_of_a_customer_do_not_see_each_others_state(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    told: dict[str, str] = {}

    def work(word: str) -> None:
        with opened(gateway, alice) as socket:
            first = asked(socket, f"[[say: {word}]]", model="gpt-4o")["response"]["id"]
            asked(socket, "again", model="gpt-4o", previous_response_id=first)
            told[word] = "done"

    threads = [threading.Thread(target=work, args=(word,)) for word in ("red", "blue")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(told) == {"red", "blue"}
    bodies_sent = [
        str(each.body) for each in gateway.vendors.requests if "again" in str(each.body)
    ]
    assert [("red" in each) + ("blue" in each) for each in bodies_sent] == [1, 1]


def test_a_message_nested_too_deeply_is_refused_as_a_post_is_and_nothing_fails(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "1")
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    nested = json.dumps({"type": "response.create", "model": "gpt-5.2", "input": deep})
    with opened(gateway, alice) as socket:
        socket.send(nested)
        (refused,) = heard(socket)
        assert (refused["status"], refused["error"]["code"]) == (400, "invalid_json")
        assert asked(socket)["type"] == ENDS[0]


def _is_large(each: object) -> bool:
    return type(each) is Turn and len(str(each.parsed)) > 100_000


def test_what_a_message_asked_is_let_go_when_it_is_answered(
    gateway: Gateway, alice: Person
) -> None:
    """By itself: what points at itself waits for the collector, and takes memory meanwhile."""
    fund(alice, "1")
    with opened(gateway, alice) as socket:
        asked(socket)  # whose connection to the vendor stays open
    gc.collect()
    gc.disable()
    try:
        with opened(gateway, alice) as socket:
            assert asked(socket, "x" * 100_000)["type"] == ENDS[0]
            assert asked(socket, "x" * 100_000, stream_id="a")["type"] == ENDS[0]
            until(lambda: not any(map(_is_large, gc.get_objects())))
    finally:
        gc.enable()


def test_a_member_said_twice_is_refused_as_in_a_post(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    twice = b'{"type":"response.create","model":"gpt-5.2","store":false,"input":"Hi",'
    twice += b'"max_output_tokens":100000,"max_output_tokens":20}'
    with opened(gateway, alice) as socket:
        socket.send(twice.decode())
        (refused,) = heard(socket)
    assert (refused["status"], refused["error"]["code"]) == (400, "invalid_request")
    assert gateway.vendors.requests == []
