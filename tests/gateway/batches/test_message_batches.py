"""Message batches by Anthropic's own SDK, on every model."""

from typing import Any

import anthropic
import httpx
import pytest

from gateway.batches.models import Batch, BatchRequest
from tests.gateway.batches.world import held, over
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database

MODELS = ("claude-sonnet-4.6", "gpt-4o", "gemini-3-flash-preview")


def params(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4.6",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


def one(custom_id: str, text: str = "Hello", **more: Any) -> Any:
    return {"custom_id": custom_id, "params": params(text, **more)}


def test_message_batches_go_round_with_the_sdk(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "10")
    batches = gateway.anthropic(alice).messages.batches
    asked = [one(f"m{n}", f"[[say: {name}]]", model=name) for n, name in enumerate(MODELS)]
    made = batches.create(
        requests=[*asked, one("streams", "[[say: whole]]", stream=True), one("odd", tools=7)]
    )
    assert (made.type, made.processing_status, made.results_url) == (
        "message_batch",
        "in_progress",
        None,
    )
    over(made.id)
    done = batches.retrieve(made.id)
    counts = done.request_counts
    assert (counts.processing, counts.succeeded, counts.errored) == (0, 4, 1)
    assert done.ended_at is not None
    found = {each.custom_id: each.result for each in batches.results(made.id)}
    for number, name in enumerate(MODELS):
        assert found[f"m{number}"].message.content[0].text == name
    assert found["streams"].message.content[0].text == "whole"
    assert found["odd"].type == "errored"
    assert found["odd"].error.error.type == "invalid_request_error"
    assert sum(event.cost > 0 for event in gateway.books()) == 4
    assert held(alice.user) == 0
    other = gateway.anthropic(bob).messages.batches
    for ask in (other.retrieve, other.results, other.cancel, other.delete):
        with pytest.raises(anthropic.NotFoundError):
            ask(made.id)
    assert other.list().data == []
    assert batches.delete(made.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(made.id)
    assert not BatchRequest.objects.exists()


def test_lists_have_pages_in_both_directions(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    batches = gateway.anthropic(alice).messages.batches
    made = [batches.create(requests=[one("a")]).id for _ in range(3)][::-1]
    assert [each.id for each in batches.list(limit=2)] == made  # the SDK asks for the next page
    first = batches.list(limit=1)
    assert first.has_more and first.data[0].id == made[0]
    second = batches.list(limit=1, after_id=made[0])
    assert [each.id for each in second.data] == [made[1]]
    before = batches.list(limit=1, before_id=made[2])
    assert [each.id for each in before.data] == [made[1]] and before.has_more
    with pytest.raises(anthropic.BadRequestError):
        batches.list(limit=0)
    until(lambda: not Batch.objects.exclude(status="completed").exists())


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [{"custom_id": "a"}],
        [one("a b")],
        [one("x" * 65)],
        [one("same"), one("same")],
        ["no object"],
    ],
    ids=["none", "no-params", "bad-id", "long-id", "twice", "no-object"],
)
def test_what_is_no_batch_is_refused_in_the_dialects_words(
    gateway: Gateway, alice: Person, requests: Any
) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        reply: httpx.Response = http.post("/v1/messages/batches", json={"requests": requests})
    assert reply.status_code == 400, reply.text
    assert reply.json()["type"] == "error"
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert not Batch.objects.exists() and held(alice.user) == 0
