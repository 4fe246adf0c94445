"""Compaction of a conversation: OpenAI's own on GPT, a summary on every other model."""

from typing import Any

import orjson
import pytest

from gateway.dialects.codecs import summaries
from tests.gateway_server import Gateway, fund
from tests.world import Person

SUMMARY = "They want Paris; files a.py and b.py are done; next: tests."
HISTORY: list[dict[str, Any]] = [
    {"role": "developer", "content": "You are an agent."},
    {"role": "user", "content": f"Plan it. [[say: {SUMMARY}]]"},
    {"role": "assistant", "content": "Done so far."},
    {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "a.py"},
]
TOOLS = [
    {"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}},
    {"type": "web_search"},
]
# As Codex sends it.
CODEX: dict[str, Any] = {
    "input": HISTORY,
    "instructions": "Go.",
    "tools": TOOLS,
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "text": {"verbosity": "low"},
    "prompt_cache_key": "thread",
}
OTHERS = ("claude-sonnet-4.5", "gemini-2.5-pro", "gpt-4o")


def compacted(gateway: Gateway, person: Person, **body: Any) -> dict[str, Any]:
    with gateway.http(person) as http:
        reply = http.post("/v1/responses/compact", json=CODEX | body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    assert found["object"] == "response.compaction" and found["usage"]["total_tokens"] > 0
    assert [item["type"] for item in found["output"]] == ["message", "compaction"]
    assert found["output"][0]["role"] == "user"
    return found


def test_gpt_compacts_at_its_own_endpoint(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    found = compacted(gateway, alice, model="gpt-5.2")
    sent = gateway.vendors.last
    assert sent.path == "/v1/responses/compact" and sent.body["model"] == "gpt-5.2"
    assert "compaction_trigger" not in str(sent.body) and "tools" not in sent.body
    (event,) = gateway.books()
    assert event.cost > 0 and event.status == 200
    with gateway.http(alice) as http:
        onward = [*found["output"], {"role": "user", "content": "Go on."}]
        reply = http.post("/v1/responses", json={"model": "gpt-5.2", "input": onward})
    assert reply.status_code == 200, reply.text
    assert gateway.vendors.last.body["input"][1]["type"] == "compaction"


@pytest.mark.parametrize("model", OTHERS)
def test_another_model_writes_a_summary_which_every_model_reads(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "10")
    found = compacted(gateway, alice, model=model)
    assert summaries.told(found["output"][-1]) is not None
    assert gateway.vendors.last.path != "/v1/responses/compact"
    (event,) = gateway.books()
    assert event.cost > 0
    onward = [*found["output"][1:], {"role": "user", "content": "Go on."}]
    for other in (model, "claude-sonnet-4.5", "gpt-5.2", "gemini-2.5-pro"):
        with gateway.http(alice) as http:
            reply = http.post("/v1/responses", json={"model": other, "input": onward})
        assert reply.status_code == 200, reply.text
        assert SUMMARY in orjson.dumps(gateway.vendors.last.body).decode()
        assert "x-hontoni-left-out" not in reply.headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["gpt-5.2", *OTHERS])
def test_a_trigger_makes_the_answer_one_compaction(
    gateway: Gateway, alice: Person, model: str, stream: bool
) -> None:
    fund(alice, "10")
    body = {"model": model, "input": [*HISTORY, {"type": "compaction_trigger"}], "stream": stream}
    with gateway.http(alice) as http:
        reply = http.post("/v1/responses", json=body)
    assert reply.status_code == 200, reply.text
    if stream:
        lines = [line[6:] for line in reply.text.split("\n") if line.startswith("data: ")]
        events = [orjson.loads(line) for line in lines]
        assert events[-1]["type"] == "response.completed"
        done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
        assert [item["type"] for item in done] == ["compaction"]
        assert [e["sequence_number"] for e in events] == list(range(len(events)))
        response = events[-1]["response"]
    else:
        response = reply.json()
    (item,) = response["output"]
    assert item["type"] == "compaction" and item["encrypted_content"]
    assert SUMMARY not in reply.text
    assert len(gateway.books()) == 1


def test_a_kept_conversation_is_compacted_and_the_compaction_is_not_kept(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        first = http.post(
            "/v1/responses", json={"model": "claude-sonnet-4.5", "input": "Remember Paris."}
        ).json()
        pointing = {"model": "claude-sonnet-4.5", "previous_response_id": first["id"]}
        found = http.post("/v1/responses/compact", json=pointing)
        assert found.status_code == 200, found.text
        assert found.json()["output"][0]["content"][0]["text"] == "Remember Paris."
        assert http.get(f"/v1/responses/{found.json()['id']}").status_code == 404


def test_openais_own_client_compacts(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    client = gateway.openai(alice)
    for model in ("gpt-5.2", "claude-sonnet-4.5"):
        found = client.responses.compact(model=model, input="[[say: short]] long story")
        assert found.output[-1].type == "compaction" and found.usage.output_tokens > 0


def test_what_makes_no_sense_or_is_not_covered_is_refused(gateway: Gateway, alice: Person) -> None:
    with gateway.http(alice) as http:
        poor = http.post("/v1/responses/compact", json={"model": "gpt-5.2", "input": "x"})
        assert poor.status_code == 402
        fund(alice, "0.05")
        tight = http.post("/v1/responses/compact", json={"model": "gpt-5.2", "input": "x"})
        assert tight.status_code == 402 and gateway.vendors.requests == []
        empty = http.post("/v1/responses/compact", json={"model": "gpt-5.2"})
        assert empty.status_code == 400
        assert http.post("/v1/responses/compact", content=b"{").status_code == 400
        unknown = http.post("/v1/responses/compact", json={"model": "none", "input": "x"})
        assert unknown.status_code == 404
        broken = http.post(
            "/v1/responses/compact",
            json={"model": "claude-sonnet-4.5", "input": "[[error: 500 no]]"},
        )
        assert broken.status_code == 500
    assert gateway.balance(alice) == 50_000_000


def test_anothers_seal_is_left_out_and_told(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    theirs = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAsealed"}
    body = {"input": [theirs, {"role": "user", "content": "Hi"}]}
    with gateway.http(alice) as http:
        reply = http.post("/v1/responses", json={"model": "claude-sonnet-4.5", **body})
    assert reply.status_code == 200
    assert "compaction" in reply.headers["x-hontoni-left-out"]
    assert "gAAAA" not in str(gateway.vendors.last.body)


@pytest.mark.parametrize("model", ["gpt-5.2", "claude-sonnet-4.5"])
def test_a_long_day_is_compacted_beside_the_gateway(
    gateway: Gateway, alice: Person, model: str
) -> None:
    fund(alice, "100")
    turns = [{"role": ("user", "assistant")[n % 2], "content": f"Step {n}."} for n in range(1700)]
    with gateway.http(alice) as http:
        body = {"model": model, "input": [*HISTORY[1:2], *turns[1:]], "instructions": "x" * 70_000}
        reply = http.post("/v1/responses/compact", json=body)
        counted = http.post("/v1/responses/input_tokens", json=body)
    assert reply.status_code == 200, reply.text[:500]
    assert reply.json()["output"][-1]["type"] == "compaction"
    assert counted.json()["input_tokens"] > 5_000
    assert len(gateway.books()) == 1


@pytest.mark.parametrize("prefix", ["hns1.", "\\u0068ns1.", "hns\\u0031."])
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-5.2", "gemini-2.5-pro"])
def test_a_packed_summary_is_held_and_paid_by_what_it_says(
    gateway: Gateway, alice: Person, model: str, prefix: str
) -> None:
    fund(alice, "50")
    packed = summaries.spelled("word " * 30_000)
    assert len(packed) < 1_000
    said = [
        {"type": "compaction", "encrypted_content": packed},
        {"role": "user", "content": "Hi"},
    ]
    body = orjson.dumps({"model": model, "input": said, "max_output_tokens": 50})
    with gateway.http(alice) as http:
        reply = http.post("/v1/responses", content=body.replace(b"hns1.", prefix.encode()))
    assert reply.status_code == 200, reply.text
    (event,) = gateway.books()
    assert event.input + event.cache_read > 20_000 and event.cost < event.hold
    assert "clamps" not in event.details


def test_summaries_that_say_more_than_any_model_reads_are_refused(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "50")
    item = {"type": "compaction", "encrypted_content": summaries.spelled("word " * 500_000)}
    with gateway.http(alice) as http:
        for path in ("/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"):
            reply = http.post(path, json={"model": "gpt-5.2", "input": [item] * 3})
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, "input")
    assert gateway.vendors.requests == []
