"""What clients of Responses assume is kept: on every model, for a day, until its owner says no."""

import json
from typing import Any

import httpx
import openai
import pytest
from pytest_django import Settings

from gateway.dashboard.views import data_views
from gateway.state import records
from hontoni import redis
from hontoni.vault import Vault
from sandbox.vendors.faults import Fault
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

MODELS = ("gpt-5.4", "claude-sonnet-4.6", "gemini-3-flash-preview", "gpt-4o")
LOOK = {
    "type": "function",
    "name": "look",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
}
BAD = b'{"error":{"message":"Bad tool","type":"invalid_request_error"}}'
CALL = '[[think: I had better look.]] [[tool: {"name": "look", "args": {"at": "sky"}}]]'


def post(gateway: Gateway, person: Person, **body: Any) -> httpx.Response:
    with gateway.http(person) as http:
        return http.post("/v1/responses", json={"model": "gpt-5.4", **body})


def sent(gateway: Gateway) -> str:
    """What the vendor was asked last."""
    return gateway.vendors.last.raw.decode()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
def test_the_next_turn_points_at_the_last(
    gateway: Gateway, alice: Person, model: str, stream: bool
) -> None:
    """As OpenAI's own SDK documents it; what is put in front is paid for like any input."""
    fund(alice, "10")
    client = gateway.openai(alice)
    asked = {"model": model, "instructions": "Be brief."}
    first = client.responses.create(input="[[say: Blue.]] The sky?", **asked)
    if stream:
        events = client.responses.create(
            input="[[say: Green.]] And grass?", previous_response_id=first.id, stream=True, **asked
        )
        second = list(events)[-1].response
    else:
        second = client.responses.create(
            input="[[say: Green.]] And grass?", previous_response_id=first.id, **asked
        )
    assert second.output_text == "Green."
    assert "The sky?" in sent(gateway) and "Blue." in sent(gateway)
    third = client.responses.create(input="[[say: All.]]", previous_response_id=second.id, **asked)
    assert third.output_text == "All."
    for text in ("The sky?", "Blue.", "And grass?", "Green."):
        assert sent(gateway).count(text) >= 1
    one, two, three = gateway.books()
    assert one.input < two.input < three.input and min(e.cost for e in (one, two, three)) > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_loop_refers_to_the_items_of_its_answer(
    gateway: Gateway, alice: Person, model: str
) -> None:
    """The Vercel AI SDK sends references in place of what it was answered."""
    fund(alice, "10")
    asked: dict[str, Any] = {"model": model, "tools": [LOOK]}
    if model != "gpt-4o":
        asked["reasoning"] = {"effort": "high"}
    user = {
        "role": "user",
        "content": [{"type": "input_text", "text": f"{CALL} [[say: It is {{result}}]]"}],
    }
    first = post(gateway, alice, input=[user], **asked).json()
    (call,) = (item for item in first["output"] if item["type"] == "function_call")
    pointers = [
        {"type": "item_reference", "id": item["id"]}
        for item in first["output"]
        if item["type"] != "function_call"
    ]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "blue"}
    body = {"input": [user, *pointers, {"id": call["id"]}, result]}
    second = post(gateway, alice, **body, **asked)
    assert second.status_code == 200, second.text
    assert "It is blue" in second.text and "item_reference" not in sent(gateway)


@pytest.mark.parametrize("model", MODELS)
def test_a_pointer_at_reasoning_that_nobody_has_is_left_out(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_1", "output": "blue"}
    told = [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "rs_gone"}]
    for extra in ({}, {"store": False}):
        reply = post(
            gateway, alice, model=model, input=[*told, call, result], tools=[LOOK], **extra
        )
        assert reply.status_code == 200, reply.text
    other = post(gateway, alice, model=model, input=[{"type": "item_reference", "id": "msg_gone"}])
    assert other.status_code == 400
    assert other.json()["error"]["code"] == "previous_response_not_found"


def test_it_is_fetched_listed_and_deleted(gateway: Gateway, alice: Person, bob: Person) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    asked: dict[str, Any] = {"model": "claude-sonnet-4.6"}
    first = client.responses.create(input="[[say: Blue.]] The sky?", metadata={"a": "b"}, **asked)
    second = client.responses.create(
        input=[{"role": "user", "content": "[[say: Green.]] And grass?"}],
        previous_response_id=first.id,
        **asked,
    )
    found = client.responses.retrieve(second.id)
    assert found.output_text == "Green." and found.previous_response_id == first.id
    assert found.usage == second.usage and found.status == "completed"
    items = client.responses.input_items.list(second.id).data
    assert [item.role for item in items] == ["user", "assistant", "user"]
    assert "And grass?" in json.dumps(items[0].to_dict())
    page = client.responses.input_items.list(second.id, limit=1, order="asc")
    assert "The sky?" in json.dumps(page.data[0].to_dict()) and page.has_more
    with pytest.raises(openai.NotFoundError):
        gateway.openai(bob).responses.retrieve(second.id)
    with pytest.raises(openai.BadRequestError, match="not kept"):
        gateway.openai(fund(bob, "1")).responses.create(
            input="x", previous_response_id=second.id, **asked
        )
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(input="x", previous_response_id=second.id, **asked)
    assert refused.value.code == "previous_response_not_found"
    assert len(gateway.books()) == 2  # fetching costs nothing


def test_what_says_store_false_is_not_kept(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    reply = post(gateway, alice, input="hi", store=False).json()
    assert records.identities(alice.user.pk) == []
    assert post(gateway, alice, input="x", previous_response_id=reply["id"]).status_code == 400


def test_it_is_sealed_bounded_and_ends(gateway: Gateway, alice: Person, settings: Any) -> None:
    fund(alice, "10")
    settings.STATE_ACCOUNT_BYTES = 3_000
    names = [
        post(gateway, alice, input=f"A SECRET {n} [[say: hi]]").json()["id"] for n in range(6)
    ]
    kept = records.identities(alice.user.pk)
    assert 0 < len(kept) < 6 and kept == names[-len(kept) :]
    for key in redis.sync().scan_iter("*resp*"):
        assert 0 < redis.sync().ttl(key) <= 24 * 3600
        if redis.sync().type(key) == b"string":
            assert b"SECRET" not in redis.sync().get(key)
    settings.STATE_HOURS = 0
    assert post(gateway, alice, input="x", previous_response_id=names[-1]).status_code == 400


def test_its_owner_switches_it_off_exports_it_and_deletes_it(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    first = post(gateway, alice, input="Remember the SHEEP [[say: I do]]").json()
    (row,) = data_views._kept(alice.user, None)
    assert "SHEEP" in json.dumps(row[1]) and "I do" in json.dumps(row[1])
    api = alice.client()
    told = api.patch("/api/auth/me/privacy", {"keeps_responses": False}, format="json")
    assert told.json()["keeps_responses"] is False
    assert data_views._kept(alice.user, None) == []
    assert post(gateway, alice, input="hi").status_code == 200
    assert records.identities(alice.user.pk) == []
    refused = post(gateway, alice, input="x", previous_response_id=first["id"])
    assert refused.json()["error"]["code"] == "previous_response_not_found"
    assert post(gateway, alice, input="x", background=True).status_code == 400


def test_what_is_of_a_key_that_is_gone_is_forgotten(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    first = post(gateway, alice, input="hi").json()
    account = alice.user.pk
    (key,) = list(redis.sync().scan_iter(f"*:resp:{account}:*"))
    redis.sync().set(key, Vault("another").seal_bytes(b"x"))
    assert post(gateway, alice, input="x", previous_response_id=first["id"]).status_code == 400


@pytest.mark.parametrize("model", MODELS)
def test_it_works_in_the_background(gateway: Gateway, alice: Person, model: str) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    asked = client.responses.create(
        model=model, input="[[delay: 0.3]] [[say: Done.]]", background=True
    )
    assert asked.status == "queued" and asked.background
    until(lambda: client.responses.retrieve(asked.id).status == "completed")
    found = client.responses.retrieve(asked.id)
    assert found.output_text == "Done." and found.id == asked.id and found.background
    (event,) = gateway.books()
    assert event.cost > 0 and event.status == 200
    after = client.responses.create(
        model=model, input="[[say: Yes.]]", previous_response_id=asked.id
    )
    assert after.output_text == "Yes." and "Done." in sent(gateway)


def test_one_in_the_background_is_refused_as_any_other(gateway: Gateway, alice: Person) -> None:
    refused = post(gateway, alice, input="hi", background=True)
    assert refused.status_code == 402 and refused.json()["error"]["type"] == "billing_error"
    fund(alice, "10")
    assert post(gateway, alice, input="hi", background=True, model="nobody").status_code == 404
    for extra in ({"store": False}, {"stream": True}):
        told = post(gateway, alice, input="hi", background=True, **extra)
        assert told.status_code == 400 and told.json()["error"]["param"] == "background"
    assert records.identities(alice.user.pk) == [] and gateway.vendors.requests == []


def test_a_vendor_that_fails_in_the_background(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    gateway.vendors.faults.append(
        Fault(
            status=400,
            body=b'{"error":{"message":"Bad tool","type":"invalid_request_error"}}',
            delay=0.3,
        )
    )
    asked = post(gateway, alice, input="hi", background=True).json()
    client = gateway.openai(alice)
    until(lambda: client.responses.retrieve(asked["id"]).status == "failed")
    found = client.responses.retrieve(asked["id"])
    assert found.error is not None and "Bad tool" in found.error.message
    (event,) = gateway.books()
    assert event.cost == 0


def test_one_in_the_background_is_cancelled(gateway: Gateway, alice: Person) -> None:
    """What was produced until then is charged, as for any client that leaves."""
    fund(alice, "10")
    client = gateway.openai(alice)
    asked = client.responses.create(
        model="claude-sonnet-4.6",
        input="[[slow: 0.2]] [[say: one two three four five six seven eight nine ten]]",
        background=True,
    )
    until(lambda: bool(gateway.vendors.requests))
    assert client.responses.cancel(asked.id).status == "cancelled"
    until(lambda: len(gateway.books()) == 1)
    assert client.responses.retrieve(asked.id).status == "cancelled"
    done = client.responses.create(model="gpt-5.4", input="hi")
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(done.id)


def test_one_whose_process_is_gone_has_failed(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    told = {"id": "resp_lost", "object": "response", "background": True}
    lost = records.Record("resp_lost", told | {"status": "queued", "created_at": 1}, [])
    sealed = records._sealed(json.dumps(lost._asdict()).encode())
    records._KEEP.run_sync(*records._kept(alice.user.pk, lost, sealed))
    assert gateway.openai(alice).responses.retrieve("resp_lost").status == "failed"


def test_conversations_are_a_clear_refusal(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    for model in MODELS:
        told = post(gateway, alice, model=model, input="hi", conversation="conv_1")
        assert told.status_code == 400 and told.json()["error"]["param"] == "conversation"


def test_an_item_pointed_at_very_often_is_more_than_a_body_may_have(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    fund(alice, "10")
    first = post(gateway, alice, model="gpt-4o", input=f"[[say: {'word ' * 400}]]").json()
    item = {"type": "item_reference", "id": first["output"][0]["id"]}
    asked = len(gateway.vendors.requests)
    settings.MAX_BODY_BYTES = 50_000
    assert post(gateway, alice, model="gpt-4o", input=[item] * 3).status_code == 200
    for wanted in ([item] * 100, [item | {"id": f"msg_{n}"} for n in range(10_001)]):
        reply = post(gateway, alice, model="gpt-4o", input=wanted)
        assert (reply.status_code, reply.json()["error"]["param"]) == (413, "input"), reply.text
    assert len(gateway.vendors.requests) == asked + 1
