"""Files and batches by the vendors' own SDKs, on a Claude, a GPT and a Gemini model: uploaded or
posted, listed, run, read line by line, and deleted."""

import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import anthropic
import openai
import pytest

from tests.gateway.batches.world import ended, over, results, upload
from tests.gateway_server import Gateway, fund
from tests.world import Person

MODELS = ("claude-sonnet-4.5", "gpt-5.2", "gemini-3.1-pro-preview")
PROMPT = "[[say: Well done.]]"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 100},
    "/v1/responses": {"input": PROMPT, "max_output_tokens": 100},
    "/v1/completions": {"prompt": PROMPT, "max_tokens": 100},
}
Answers = dict[str, Any]


def by_file(gateway: Gateway, alice: Person, model: str, endpoint: str) -> Answers:
    """What OpenAI's SDK makes of two requests of a file, one of which is none."""
    client = gateway.openai(alice)
    models = {"good": model, "bad": "no-such"}
    lines = [
        json.dumps(
            {
                "custom_id": each,
                "method": "POST",
                "url": endpoint,
                "body": {"model": models[each], **BODIES[endpoint]},
            }
        )
        for each in models
    ]
    name = upload(gateway, alice, *lines)
    assert client.files.retrieve(name).purpose == "batch"
    assert client.files.content(name).text == "\n".join(lines)
    made = client.batches.create(
        input_file_id=name,
        endpoint=endpoint,
        completion_window="24h",
        metadata={"of": "the board"},
    )
    done = ended(gateway, alice, made.id)
    assert (done.status, done.metadata) == ("completed", {"of": "the board"})
    assert [each.id for each in client.batches.list()] == [made.id]
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (2, 1, 1)
    assert results(gateway, alice, done.error_file_id).keys() == {"bad"}
    found = results(gateway, alice, done.output_file_id)
    for each in (name, done.output_file_id, done.error_file_id):
        assert client.files.delete(each).deleted
    assert client.files.list().data == []
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(name)
    return {key: each["response"]["body"] for key, each in found.items()}


def by_messages(gateway: Gateway, alice: Person, model: str, endpoint: str) -> Answers:
    """What Anthropic's SDK makes of two requests of a body, one of which is none."""
    batches = gateway.anthropic(alice).messages.batches
    params: Any = {
        "model": model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    bad: Any = params | {"model": "no-such"}
    made = batches.create(
        requests=[{"custom_id": "good", "params": params}, {"custom_id": "bad", "params": bad}]
    )
    over(made.id)
    done = batches.retrieve(made.id)
    assert (done.processing_status, done.request_counts.succeeded) == ("ended", 1)
    assert [each.id for each in batches.list()] == [made.id]
    found = {each.custom_id: each.result for each in batches.results(made.id)}
    assert found.pop("bad").type == "errored"
    assert batches.delete(made.id).id == made.id
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(made.id)
    return {key: each.to_dict()["message"] for key, each in found.items()}


Run = Callable[[Gateway, Person, str, str], Answers]
RUNS: dict[str, tuple[Run, str]] = {
    **{f"openai {version('openai')}, {endpoint}": (by_file, endpoint) for endpoint in BODIES},
    f"anthropic {version('anthropic')}, /v1/messages": (by_messages, "/v1/messages"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("batch", RUNS)
def test_a_batch_goes_round(gateway: Gateway, alice: Person, batch: str, model: str) -> None:
    fund(alice, "10")
    run, endpoint = RUNS[batch]
    answers = run(gateway, alice, model, endpoint)
    assert answers.keys() == {"good"} and "Well done." in repr(answers["good"])
    (event,) = gateway.books()
    assert event.cost > 0 and event.status == 200
