"""Every client to every upstream, against vendors that refuse what the real ones refuse."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from gateway.dialects import codecs
from gateway.dialects.codecs.fold import fold
from gateway.dialects.event_stream import Unframer
from gateway.dialects.ir import Event, Failed, Request, Target
from gateway.dialects.sse import Splitter
from gateway.vendors.manners import Manners
from sandbox.vendors.app import make_app
from sandbox.vendors.vendors import describe
from tests.gateway.dialects.codecs import world

CLIENTS = [name for name in codecs.UPSTREAMS if name in codecs.CLIENTS]
MODELS = [
    "gpt-4o",
    "gpt-5.2",
    "claude-sonnet-4-20250514",
    "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-6",
    "gemini-2.5-pro",
    "gemini-3.1-pro-preview",
    "amazon.nova-pro-v1:0",
]
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
LOOK = '[[tool: {"name": "look", "args": {"at": "a"}}]]'
HEAR = '[[tool: {"name": "hear", "args": {"at": "b"}}]]'

pytestmark = [pytest.mark.parametrize("model", MODELS), pytest.mark.parametrize("client", CLIENTS)]


@pytest.fixture(scope="module")
def vendors() -> Iterator[TestClient]:
    headers = {
        "authorization": "Bearer k",
        "x-goog-api-key": "k",
        "anthropic-version": "2023-06-01",
    }
    with TestClient(make_app(pace=0), headers=headers) as http:
        yield http


class Session:
    """One conversation of a client that sends everything back, as its SDK would."""

    def __init__(
        self, http: TestClient, client: str, model: str, prompt: Any, **fields: Any
    ) -> None:
        self.http, self.client = http, client
        self.to: Target = target(model)
        self.body: dict[str, Any] = {"model": model, **_limit(client), **fields}
        self.history: list[Any] = []
        self.say(prompt)
        self.events: list[Event] = []

    def say(self, prompt: Any) -> None:
        """A turn of the user's: a text, or parts."""
        if self.client == "gemini":
            parts = [{"text": prompt}] if isinstance(prompt, str) else prompt
            self.history.append({"role": "user", "parts": parts})
        else:
            self.history.append(world.user(prompt))

    def request(self) -> Request:
        place = {"openai_responses": "input", "gemini": "contents"}.get(self.client, "messages")
        return codecs.decode_request(self.client, self.body | {place: self.history})

    def turn(self) -> dict[str, Any]:
        """Ask, and take the answer into the history."""
        request = self.request()
        body = codecs.UPSTREAMS[self.to.dialect].encode_request(request, self.to)
        path = Manners.of(
            hosting="bedrock" if self.to.dialect == "converse" else "",
            base_url=str(self.http.base_url),
            dialect=self.to.dialect,
        ).path(self.to.dialect, self.to.model, streams=True)
        answer = self.http.post(path, json=orjson.loads(orjson.dumps(body)))
        assert answer.status_code == 200, answer.text
        framed = self.to.dialect == "converse"
        content = Unframer().feed(answer.content) if framed else answer.content
        self.events = world.read(request, self.to, content)
        reply = world.unary(request, fold(self.events), self.body)
        streamed = fold(self.again(request))
        assert world.said(streamed) == "".join(self.texts(reply))
        self.history += self.echo(reply)
        return reply

    def again(self, request: Request) -> list[Event]:
        """What the client's stream says to a reader of its dialect."""
        stream = world.send(request, self.events, self.body)
        decoder = codecs.UPSTREAMS[self.client].Decoder(self.to, codecs.minting("x"))
        splitter = Splitter()
        events = [e for f in splitter.feed(stream) for e in decoder.feed(f)]
        return events + decoder.close()

    def echo(self, reply: dict[str, Any]) -> list[Any]:
        if self.client == "openai_responses":
            items: list[Any] = reply["output"]
            return items
        if self.client == "openai_chat":
            return [reply["choices"][0]["message"]]
        if self.client == "gemini":
            return [reply["candidates"][0]["content"]]
        return [{"role": "assistant", "content": reply["content"]}]

    def texts(self, reply: dict[str, Any]) -> list[str]:
        if self.client == "openai_chat":
            return [reply["choices"][0]["message"]["content"] or ""]
        if self.client == "anthropic_messages":
            return [block["text"] for block in reply["content"] if block["type"] == "text"]
        if self.client == "gemini":
            return [text for p in self.parts(reply) if (text := p.get("text")) and not thought(p)]
        return [
            p.get("text", "")
            for i in reply["output"]
            if i["type"] == "message"
            for p in i["content"]
        ]

    def parts(self, reply: dict[str, Any]) -> list[Any]:
        parts: list[Any] = reply["candidates"][0]["content"]["parts"]
        return parts

    def calls(self, reply: dict[str, Any]) -> list[tuple[str, str, Any]]:
        if self.client == "openai_chat":
            told = reply["choices"][0]["message"].get("tool_calls", ())
            return [
                (c["id"], c["function"]["name"], orjson.loads(c["function"]["arguments"]))
                for c in told
            ]
        if self.client == "anthropic_messages":
            uses = [block for block in reply["content"] if block["type"] == "tool_use"]
            return [(b["id"], b["name"], b["input"]) for b in uses]
        if self.client == "gemini":
            made = [p["functionCall"] for p in self.parts(reply) if "functionCall" in p]
            return [(c["id"], c["name"], c["args"]) for c in made]
        items = [i for i in reply["output"] if i["type"] == "function_call"]
        return [(i["call_id"], i["name"], orjson.loads(i["arguments"])) for i in items]

    def results(self, calls: list[tuple[str, str, Any]], content: str = "seen") -> None:
        """Answer the calls, last one first."""
        ids = [call[0] for call in reversed(calls)]
        if self.client == "gemini":  # by name alone, as many of Google's clients do
            given = [{"name": name, "response": {"output": content}} for _, name, _ in calls]
            self.say([{"functionResponse": each} for each in reversed(given)])
            return
        if self.client == "openai_responses":
            self.history += [
                {"type": "function_call_output", "call_id": each, "output": content}
                for each in ids
            ]
        elif self.client == "openai_chat":
            self.history += [{"role": "tool", "tool_call_id": i, "content": content} for i in ids]
        else:
            self.history.append(world.user([world.tool_result(i, content) for i in ids]))

    def end(self, reply: dict[str, Any]) -> str:
        if self.client == "openai_chat":
            return str(reply["choices"][0]["finish_reason"])
        if self.client == "anthropic_messages":
            return str(reply["stop_reason"])
        if self.client == "gemini":
            return str(reply["candidates"][0]["finishReason"]).lower()
        return str((reply["incomplete_details"] or {}).get("reason") or reply["status"])


def thought(part: dict[str, Any]) -> bool:
    return bool(part.get("thought"))


def target(model: str) -> Target:
    return world.target(model, max_output=describe(model).max_output)


def _limit(client: str) -> dict[str, Any]:
    if client == "gemini":
        return {"generationConfig": {"maxOutputTokens": 20_000}}
    name = {"openai_responses": "max_output_tokens"}.get(client, "max_tokens")
    return {name: 20_000}


def tools(client: str) -> list[Any]:
    schema = {"type": "object", "properties": {"at": {"type": "string"}}}
    if client == "anthropic_messages":
        return [{"name": name, "input_schema": schema} for name in ("look", "hear")]
    if client == "gemini":  # in the schemas of Google's SDKs
        theirs = {"type": "OBJECT", "properties": {"at": {"type": "STRING"}}}
        declared = [{"name": name, "parameters": theirs} for name in ("look", "hear")]
        return [{"functionDeclarations": declared}]
    flat = [{"name": name, "parameters": schema} for name in ("look", "hear")]
    if client == "openai_responses":
        return [{"type": "function", **each} for each in flat]
    return [{"type": "function", "function": each} for each in flat]


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": {"maxOutputTokens": 20_000, **fields}}


def thinking(client: str) -> dict[str, Any]:
    asked: dict[str, dict[str, Any]] = {
        "openai_chat": {"reasoning_effort": "high"},
        "openai_responses": {"reasoning": {"effort": "high", "summary": "auto"}},
        "anthropic_messages": {
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
        },
        "gemini": config(thinkingConfig={"thinkingLevel": "HIGH", "includeThoughts": True}),
    }
    return asked[client]


def test_text(vendors: TestClient, client: str, model: str) -> None:
    session = Session(vendors, client, model, "[[say: Xin chào 🌊]] [[usage: 100 20 40 5]]")
    reply = session.turn()
    assert session.texts(reply) == ["Xin chào 🌊"]
    usage = fold(session.events).usage
    assert usage.cache_read == 40 and usage.output + usage.reasoning in (20, 25)
    assert usage.input + usage.cache_read in (100, 140)
    assert session.end(reply) in ("stop", "completed", "end_turn")


def test_one_call_and_its_result(vendors: TestClient, client: str, model: str) -> None:
    session = Session(
        vendors, client, model, f"{LOOK}[[say: Got {{result}}.]]", tools=tools(client)
    )
    calls = session.calls(session.turn())
    assert [call[1:] for call in calls] == [("look", {"at": "a"})]
    session.results(calls)
    assert session.texts(session.turn()) == ["Got seen."]


def test_parallel_calls_answered_in_reverse(vendors: TestClient, client: str, model: str) -> None:
    session = Session(vendors, client, model, f"{LOOK}{HEAR}[[parallel]]", tools=tools(client))
    calls = session.calls(session.turn())
    assert [call[1] for call in calls] == ["look", "hear"]
    session.results(calls)
    assert session.calls(session.turn()) == []


def test_a_loop_of_three_turns_that_thinks(vendors: TestClient, client: str, model: str) -> None:
    prompt = f"[[think: Hmm.]][[redact]]{LOOK}{HEAR}{LOOK}"
    session = Session(vendors, client, model, prompt, tools=tools(client), **thinking(client))
    for name in ("look", "hear", "look"):
        calls = session.calls(session.turn())
        assert [call[1] for call in calls] == [name]
        session.results(calls)
    session.turn()
    session.say("[[say: And on.]]")
    assert session.texts(session.turn()) == ["And on."]


def test_the_model_may_change_between_turns(vendors: TestClient, client: str, model: str) -> None:
    prompt = f"[[think: Hmm.]]{LOOK}[[say: {{result}}]]"
    session = Session(vendors, client, model, prompt, tools=tools(client), **thinking(client))
    session.results(session.calls(session.turn()))
    for other in MODELS:
        session.to = target(other)
        kept = list(session.history)
        assert session.texts(session.turn()) == ["seen"]
        session.history = kept


def test_a_picture(vendors: TestClient, client: str, model: str) -> None:
    url = f"data:image/png;base64,{PNG}"
    shown = {
        "openai_chat": {"type": "image_url", "image_url": {"url": url}},
        "openai_responses": {"type": "input_image", "image_url": url},
        "anthropic_messages": world.image(PNG),
        "gemini": {"inlineData": {"mimeType": "image/png", "data": PNG}},
    }[client]
    kind = "input_text" if client == "openai_responses" else "text"
    said = {"text": "[[say: A dot.]]"} | ({} if client == "gemini" else {"type": kind})
    prompt = [said, shown]
    session = Session(vendors, client, model, prompt)
    assert session.texts(session.turn()) == ["A dot."]


@pytest.mark.parametrize("with_tools", [False, True], ids=["alone", "with tools"])
def test_a_shape(vendors: TestClient, client: str, model: str, with_tools: bool) -> None:
    named = {"name": "person", "schema": SCHEMA}
    asked: dict[str, dict[str, Any]] = {
        "openai_chat": {"response_format": {"type": "json_schema", "json_schema": named}},
        "openai_responses": {"text": {"format": {"type": "json_schema", **named}}},
        "anthropic_messages": {
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}
        },
        "gemini": config(responseMimeType="application/json", responseJsonSchema=SCHEMA),
    }
    fields = asked[client] | ({"tools": tools(client)} if with_tools else {})
    session = Session(vendors, client, model, '[[json: {"name": "Ann", "age": 5}]]', **fields)
    assert orjson.loads("".join(session.texts(session.turn()))) == {"name": "Ann", "age": 5}


def test_a_forced_call(vendors: TestClient, client: str, model: str) -> None:
    choice: Any = {
        "openai_chat": {"type": "function", "function": {"name": "hear"}},
        "openai_responses": {"type": "function", "name": "hear"},
        "anthropic_messages": {"type": "tool", "name": "hear"},
        "gemini": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["hear"]}},
    }[client]
    named = "toolConfig" if client == "gemini" else "tool_choice"
    fields = {"tools": tools(client), named: choice} | thinking(client)
    session = Session(vendors, client, model, "hi", **fields)
    assert [call[1] for call in session.calls(session.turn())] == ["hear"]


def test_a_stop_sequence(vendors: TestClient, client: str, model: str) -> None:
    fields = {
        "openai_chat": {"stop": ["END"]},
        "anthropic_messages": {"stop_sequences": ["END"]},
        "gemini": config(stopSequences=["END"]),
    }
    session = Session(vendors, client, model, "[[say: one END two]]", **fields.get(client, {}))
    reply = session.turn()
    if client == "openai_responses":
        assert session.texts(reply) == ["one END two"]
        return
    assert session.texts(reply) == ["one "]
    if client == "anthropic_messages":
        assert (session.end(reply), reply["stop_sequence"]) == ("stop_sequence", "END")


def test_the_end_of_the_room(vendors: TestClient, client: str, model: str) -> None:
    session = Session(vendors, client, model, "[[say: Once upon a time]][[length]]")
    assert session.end(session.turn()) in ("length", "max_output_tokens", "max_tokens")


def test_a_refusal(vendors: TestClient, client: str, model: str) -> None:
    session = Session(vendors, client, model, "[[refuse]]")
    ends = ("content_filter", "refusal", "completed", "safety")
    assert session.end(session.turn()) in ends


def test_an_error_in_the_middle(vendors: TestClient, client: str, model: str) -> None:
    session = Session(vendors, client, model, "[[say: one two three four five six]][[midstream]]")
    session.turn()
    end = session.events[-1]
    assert isinstance(end, Failed)
    assert sum(isinstance(event, Failed) for event in session.events) == 1
