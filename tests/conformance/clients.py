"""The three client dialects as their vendors' own SDKs speak them, under the same verbs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.gateway_server import Gateway
from tests.world import Person

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
AT = {"type": "object", "properties": {"at": {"type": "string"}}}
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)


@dataclass
class Answer:
    """What an SDK made of a reply. `calls` are (id, name, arguments); tokens as it counts them."""

    text: str
    calls: list[tuple[str, str, Any]]
    finish: str
    input_tokens: int
    output_tokens: int
    thoughts: str = ""


@dataclass
class Client:
    """One conversation; every answer is sent back as the SDK gave it."""

    gateway: Gateway
    person: Person
    model: str
    streamed: bool
    history: list[Any] = field(default_factory=list)

    def ask(self, text: str, *, picture: bool = False, **asked: Any) -> Answer:
        self.history.append(self.user(text, picture))
        return self.turn(**asked)

    def user(self, text: str, picture: bool) -> Any:
        raise NotImplementedError

    def turn(self, **asked: Any) -> Answer:
        """`asked`: tools, schema, stop, think, limit."""
        raise NotImplementedError

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        """Results, the last call's first."""
        raise NotImplementedError

    def events(self, text: str) -> Any:
        """The raw stream of one question: something to iterate over and to close."""
        raise NotImplementedError


class Chat(Client):
    name = "openai_chat"

    def user(self, text: str, picture: bool) -> Any:
        if not picture:
            return {"role": "user", "content": text}
        url = {"url": f"data:image/png;base64,{PNG}"}
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
        return {"role": "user", "content": parts}

    def _fields(self, asked: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": self.model, "messages": self.history}
        if names := asked.get("tools"):
            functions = [{"name": name, "parameters": AT} for name in names]
            fields["tools"] = [{"type": "function", "function": f} for f in functions]
        if asked.get("schema"):
            shape = {"name": "person", "schema": SCHEMA, "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": shape}
        if asked.get("stop"):
            fields["stop"] = asked["stop"]
        if asked.get("think"):
            fields["reasoning_effort"] = "low"
        return fields

    def turn(self, **asked: Any) -> Answer:
        client, fields = self.gateway.openai(self.person), self._fields(asked)
        if self.streamed:
            state: Any = ChatCompletionStreamState()
            options = {"include_usage": True}
            for chunk in client.chat.completions.create(
                stream=True, stream_options=options, **fields
            ):
                state.handle_chunk(chunk)
            reply = state.current_completion_snapshot
        else:
            reply = client.chat.completions.create(**fields)
        message = reply.choices[0].message
        self.history.append(message.to_dict())
        return Answer(
            text=message.content or message.refusal or "",
            calls=[
                (call.id, call.function.name, json.loads(call.function.arguments))
                for call in message.tool_calls or ()
            ],
            finish=reply.choices[0].finish_reason,
            input_tokens=reply.usage.prompt_tokens,
            output_tokens=reply.usage.completion_tokens,
            thoughts=getattr(message, "reasoning_content", None) or "",
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        for call in reversed(calls):
            self.history.append({"role": "tool", "tool_call_id": call[0], "content": "seen"})

    def events(self, text: str) -> Any:
        self.history.append(self.user(text, False))
        client = self.gateway.openai(self.person)
        return client.chat.completions.create(stream=True, **self._fields({}))


class Responses(Client):
    name = "openai_responses"

    def user(self, text: str, picture: bool) -> Any:
        url = f"data:image/png;base64,{PNG}"
        parts = [{"type": "input_text", "text": text}]
        shown = [{"type": "input_image", "image_url": url, "detail": "auto"}] if picture else []
        return {"role": "user", "content": [*parts, *shown]}

    def _fields(self, asked: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": self.model, "input": self.history}
        if names := asked.get("tools"):
            functions = [{"name": name, "parameters": AT, "strict": False} for name in names]
            fields["tools"] = [{"type": "function", **function} for function in functions]
        if asked.get("schema"):
            shape = {"name": "person", "schema": SCHEMA, "strict": True}
            fields["text"] = {"format": {"type": "json_schema", **shape}}
        if asked.get("think"):
            fields["reasoning"] = {"effort": "low", "summary": "auto"}
        return fields

    def turn(self, **asked: Any) -> Answer:
        client, fields = self.gateway.openai(self.person), self._fields(asked)
        if self.streamed:
            events = list(client.responses.create(stream=True, **fields))
            assert [e.sequence_number for e in events] == list(range(len(events)))
            reply = events[-1].response
        else:
            reply = client.responses.create(**fields)
        output = [item.to_dict() for item in reply.output]
        self.history += output
        return Answer(
            text="".join(_said(output)),
            calls=[
                (item["call_id"], item["name"], json.loads(item["arguments"]))
                for item in output
                if item["type"] == "function_call"
            ],
            finish=reply.incomplete_details.reason if reply.incomplete_details else reply.status,
            input_tokens=reply.usage.input_tokens,
            output_tokens=reply.usage.output_tokens,
            thoughts="".join(
                part["text"] for i in output for part in i.get("summary") or () if part
            ),
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        self.history += [
            {"type": "function_call_output", "call_id": call[0], "output": "seen"}
            for call in reversed(calls)
        ]

    def events(self, text: str) -> Any:
        self.history.append(self.user(text, False))
        return self.gateway.openai(self.person).responses.create(stream=True, **self._fields({}))


def _said(output: list[dict[str, Any]]) -> Iterable[str]:
    messages = [item for item in output if item["type"] == "message"]
    for part in (part for message in messages for part in message["content"]):
        yield part.get("text") or part.get("refusal") or ""


class Messages(Client):
    name = "anthropic_messages"

    def user(self, text: str, picture: bool) -> Any:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        shown = [{"type": "image", "source": source}] if picture else []
        return {"role": "user", "content": [*shown, {"type": "text", "text": text}]}

    def _fields(self, asked: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self.model,
            "messages": self.history,
            "max_tokens": 8_000,
        }
        if names := asked.get("tools"):
            fields["tools"] = [{"name": name, "input_schema": AT} for name in names]
        if asked.get("schema"):
            fields["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if asked.get("stop"):
            fields["stop_sequences"] = asked["stop"]
        if asked.get("think"):
            fields["thinking"] = {"type": "enabled", "budget_tokens": 2_000}
        return fields

    def turn(self, **asked: Any) -> Answer:
        client, fields = self.gateway.anthropic(self.person), self._fields(asked)
        if self.streamed:
            with client.messages.stream(**fields) as stream:
                reply = stream.get_final_message()
        else:
            reply = client.messages.create(**fields)
        blocks = [block.to_dict() for block in reply.content]
        self.history.append({"role": "assistant", "content": [_sendable(b) for b in blocks]})
        usage = reply.usage
        return Answer(
            text="".join(block["text"] for block in blocks if block["type"] == "text"),
            calls=[(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"],
            finish=reply.stop_reason,
            input_tokens=usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0),
            output_tokens=usage.output_tokens,
            thoughts="".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        results = [
            {"type": "tool_result", "tool_use_id": call[0], "content": "seen"}
            for call in reversed(calls)
        ]
        self.history.append({"role": "user", "content": results})

    def events(self, text: str) -> Any:
        self.history.append(self.user(text, False))
        fields = self._fields({})
        return self.gateway.anthropic(self.person).messages.create(stream=True, **fields)


def _sendable(block: dict[str, Any]) -> dict[str, Any]:
    """A block without what the SDK adds to an answer and the API takes in no request."""
    return {k: v for k, v in block.items() if k not in ("parsed_output", "citations", "caller")}


CLIENTS = {client.name: client for client in (Chat, Responses, Messages)}
