"""Batches by OpenAI's own SDK: held for as a whole, run as any request, settled as results come."""

from tests.gateway.batches.world import create, ended, held, line, results, row
from tests.gateway_server import Gateway, fund
from tests.world import Person

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
