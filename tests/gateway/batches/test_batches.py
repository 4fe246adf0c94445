"""Batches by OpenAI's own SDK: held for as a whole, run as any request, settled one by one."""

import json

import openai
import pytest

from tests.gateway.batches.world import create, ended, held, line, results, row, upload
from tests.gateway_server import Gateway, fund, nobody_runs_batches
from tests.world import Person

pytestmark = pytest.mark.any_database

MODELS = ("gpt-4o", "claude-sonnet-4.6", "gemini-3-flash-preview")


def test_a_batch_runs_on_every_model_and_each_line_has_its_receipt(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    lines = [line(model, f"[[say: I am {model}]]", model=model) for model in MODELS]
    bad = line("bad", messages="no list")
    made = create(gateway, alice, *lines, bad)
    assert (made.object, made.status, made.endpoint) == (
        "batch",
        "in_progress",
        "/v1/chat/completions",
    )
    done = ended(gateway, alice, made.id)
    assert done.status == "completed"
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (4, 3, 1)
    answers = results(gateway, alice, done.output_file_id)
    assert answers.keys() == set(MODELS)
    for model in MODELS:
        response = answers[model]["response"]
        assert response["status_code"] == 200 and answers[model]["error"] is None
        assert response["body"]["choices"][0]["message"]["content"] == f"I am {model}"
    (failed,) = results(gateway, alice, done.error_file_id).values()
    assert failed["response"]["status_code"] == 400
    assert failed["response"]["body"]["error"]["type"] == "invalid_request_error"
    events = gateway.books()
    assert {event.request_id for event in events} == {
        each["response"]["request_id"] for each in answers.values()
    }
    assert row(made.id).cost == sum(event.cost for event in events) > 0
    assert held(alice.user) == 0
    file = gateway.openai(alice).files.retrieve(done.output_file_id)
    text = gateway.openai(alice).files.content(done.output_file_id).content
    assert (file.purpose, file.bytes) == ("batch_output", len(text))
    assert gateway.openai(alice).files.retrieve(done.error_file_id).bytes == len(
        gateway.openai(alice).files.content(done.error_file_id).content
    )


@pytest.mark.parametrize(
    ("endpoint", "body", "read"),
    [
        (
            "/v1/responses",
            {"input": "[[say: Aha]]", "messages": None},
            ("output", 0, "content", 0),
        ),
        ("/v1/completions", {"prompt": "[[say: Aha]]", "messages": None}, ("choices", 0)),
        (
            "/v1/embeddings",
            {"model": "text-embedding-3-small", "input": "Aha", "messages": None},
            ("data", 0, "embedding"),
        ),
    ],
    ids=["responses", "completions", "embeddings"],
)
def test_every_endpoint_has_batches(
    gateway: Gateway, alice: Person, endpoint: str, body: dict[str, object], read: tuple[object]
) -> None:
    fund(alice, "10")
    asked = json.loads(line("one", url=endpoint))
    asked["body"] = {
        name: value for name, value in (asked["body"] | body).items() if value is not None
    }
    made = create(gateway, alice, json.dumps(asked), endpoint=endpoint)
    done = ended(gateway, alice, made.id)
    (found,) = results(gateway, alice, done.output_file_id).values()
    answer = found["response"]["body"]
    for step in read:
        answer = answer[step]
    assert answer
    (event,) = gateway.books()
    assert row(made.id).cost == event.cost > 0


def test_what_cannot_be_paid_for_as_a_whole_is_not_begun(gateway: Gateway, alice: Person) -> None:
    fund(alice, "0.004")  # enough for one
    lines = [line(f"l{n}") for n in range(5)]
    with pytest.raises(openai.APIStatusError) as refused:
        create(gateway, alice, *lines)
    assert refused.value.status_code == 402
    assert refused.value.code == "insufficient_balance"
    assert "All of this batch may cost $0.0" in refused.value.message
    assert held(alice.user) == 0 and gateway.openai(alice).batches.list().data == []
    done = ended(gateway, alice, create(gateway, alice, lines[0]).id)
    assert done.status == "completed" and len(gateway.books()) == 1


def test_other_requests_cannot_spend_what_a_batch_may_cost(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "0.02")
    with nobody_runs_batches():
        made = create(gateway, alice, *(line(f"l{n}", max_tokens=180) for n in range(5)))
        assert row(made.id).held > 18_000_000 and held(alice.user) == row(made.id).held
        refused = gateway.chat(alice, max_tokens=1500)
        assert refused.status_code == 402
        assert refused.json()["error"]["code"] == "balance_on_hold"
    done = ended(gateway, alice, made.id)
    assert done.request_counts.completed == 5
    assert held(alice.user) == 0
    assert gateway.chat(alice, max_tokens=1500).status_code == 200
    assert len(gateway.books()) == 6


def test_a_file_that_is_no_batch_fails_with_a_reason_a_line(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    other = line("b", url="/v1/embeddings")
    unnamed = json.dumps({"method": "POST", "url": "/v1/chat/completions", "body": {}})
    made = create(gateway, alice, line("a"), "{", line("a"), other, unnamed, "7")
    assert made.status == "failed" and made.failed_at
    assert [(each.line, each.code) for each in made.errors.data] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "mismatched_endpoint"),
        (5, "missing_required_parameter"),
        (6, "invalid_request"),
    ]
    assert row(made.id).bytes > 0  # what it says takes room
    pages = [each.to_dict()["doc_url"] for each in made.errors.data]
    assert pages[0].endswith("/errors/invalid_json_line") and pages[0].startswith("http")
    assert gateway.books() == [] and held(alice.user) == 0


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/images/generations"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"a": "x" * 513}}, "metadata"),
        ({"input_file_id": ""}, "input_file_id"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 7}}, "output_expires_after"),
    ],
)
def test_a_batch_that_is_asked_for_wrongly_is_refused(
    gateway: Gateway, alice: Person, change: dict[str, object], param: str
) -> None:
    fund(alice, "1")
    file = upload(gateway, alice, line("a"))
    asked = {
        "input_file_id": file,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    with gateway.http(alice) as http:
        reply = http.post("/v1/batches", json=asked | change)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param
