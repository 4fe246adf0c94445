"""The client dialects as their vendors' own SDKs speak them, under the same verbs.

What is asked and how an answer reads is a dialect's; how it travels is an SDK's (sdks.py).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.conformance.sdks import Json, Sdk, Stream
from tests.gateway_server import Gateway

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

    name: ClassVar[str]
    gateway: Gateway
    sdk: Sdk
    model: str
    streamed: bool
    history: list[Any] = field(default_factory=list)

    def ask(self, text: str, *, picture: bool = False, **asked: Any) -> Answer:
        self.history.append(self.user(text, picture))
        return self.turn(**asked)

    def turn(self, **asked: Any) -> Answer:
        """`asked`: tools, schema, stop, think."""
        send = self.sdk.streamed if self.streamed else self.sdk.whole
        return self.read(send(self.name, self.fields(asked)))

    def events(self, text: str) -> Stream:
        """The raw stream of one question."""
        self.history.append(self.user(text, False))
        return self.sdk.events(self.name, self.fields({}))

    def user(self, text: str, picture: bool) -> Any:
        raise NotImplementedError

    def fields(self, asked: Json) -> Json:
        """What is sent: the history, and what is asked of `turn` in the dialect's words."""
        raise NotImplementedError

    def read(self, reply: Json) -> Answer:
        """What a reply says; it joins the history."""
        raise NotImplementedError

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        """Results, the last call's first."""
        raise NotImplementedError


class Chat(Client):
    name = "openai_chat"

    def user(self, text: str, picture: bool) -> Any:
        if not picture:
            return {"role": "user", "content": text}
        url = {"url": f"data:image/png;base64,{PNG}"}
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": url}]
        return {"role": "user", "content": parts}

    def fields(self, asked: Json) -> Json:
        fields: Json = {"model": self.model, "messages": self.history}
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

    def read(self, reply: Json) -> Answer:
        message = reply["choices"][0]["message"]
        self.history.append(_sendable(message))
        return Answer(
            text=message.get("content") or message.get("refusal") or "",
            calls=[
                (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                for call in message.get("tool_calls") or ()
            ],
            finish=reply["choices"][0]["finish_reason"],
            input_tokens=reply["usage"]["prompt_tokens"],
            output_tokens=reply["usage"]["completion_tokens"],
            thoughts=message.get("reasoning_content") or "",
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        for call in reversed(calls):
            self.history.append({"role": "tool", "tool_call_id": call[0], "content": "seen"})


class Responses(Client):
    name = "openai_responses"

    def user(self, text: str, picture: bool) -> Any:
        url = f"data:image/png;base64,{PNG}"
        parts = [{"type": "input_text", "text": text}]
        shown = [{"type": "input_image", "image_url": url, "detail": "auto"}] if picture else []
        return {"role": "user", "content": [*parts, *shown]}

    def fields(self, asked: Json) -> Json:
        fields: Json = {"model": self.model, "input": self.history}
        if names := asked.get("tools"):
            functions = [{"name": name, "parameters": AT, "strict": False} for name in names]
            fields["tools"] = [{"type": "function", **function} for function in functions]
        if asked.get("schema"):
            shape = {"name": "person", "schema": SCHEMA, "strict": True}
            fields["text"] = {"format": {"type": "json_schema", **shape}}
        if asked.get("think"):
            fields["reasoning"] = {"effort": "low", "summary": "auto"}
        return fields

    def read(self, reply: Json) -> Answer:
        output = reply["output"]
        self.history += output
        incomplete = reply.get("incomplete_details") or {}
        return Answer(
            text="".join(_said(output)),
            calls=[
                (item["call_id"], item["name"], json.loads(item["arguments"]))
                for item in output
                if item["type"] == "function_call"
            ],
            finish=incomplete.get("reason") or reply["status"],
            input_tokens=reply["usage"]["input_tokens"],
            output_tokens=reply["usage"]["output_tokens"],
            thoughts="".join(part["text"] for i in output for part in i.get("summary") or ()),
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        self.history += [
            {"type": "function_call_output", "call_id": call[0], "output": "seen"}
            for call in reversed(calls)
        ]


def _said(output: list[Json]) -> Iterable[str]:
    messages = [item for item in output if item["type"] == "message"]
    for part in (part for message in messages for part in message["content"]):
        yield part.get("text") or part.get("refusal") or ""


class Messages(Client):
    name = "anthropic_messages"

    def user(self, text: str, picture: bool) -> Any:
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        shown = [{"type": "image", "source": source}] if picture else []
        return {"role": "user", "content": [*shown, {"type": "text", "text": text}]}

    def fields(self, asked: Json) -> Json:
        fields: Json = {
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

    def read(self, reply: Json) -> Answer:
        blocks, usage = reply["content"], reply["usage"]
        self.history.append({"role": "assistant", "content": [_sendable(b) for b in blocks]})
        cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
        return Answer(
            text="".join(block["text"] for block in blocks if block["type"] == "text"),
            calls=[(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"],
            finish=reply["stop_reason"],
            input_tokens=usage["input_tokens"] + sum(usage.get(name) or 0 for name in cached),
            output_tokens=usage["output_tokens"],
            thoughts="".join(b["thinking"] for b in blocks if b["type"] == "thinking"),
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        results = [
            {"type": "tool_result", "tool_use_id": call[0], "content": "seen"}
            for call in reversed(calls)
        ]
        self.history.append({"role": "user", "content": results})


class Contents(Client):
    """Google's. Results are given by name alone, as its SDK does."""

    name = "gemini"

    def user(self, text: str, picture: bool) -> Any:
        shown = [{"inlineData": {"mimeType": "image/png", "data": PNG}}] if picture else []
        return {"role": "user", "parts": [{"text": text}, *shown]}

    def fields(self, asked: Json) -> Json:
        config: Json = {}
        if names := asked.get("tools"):
            declared = [{"name": name, "parametersJsonSchema": AT} for name in names]
            config["tools"] = [{"functionDeclarations": declared}]
        if asked.get("schema"):
            config |= {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
        if asked.get("stop"):
            config["stopSequences"] = asked["stop"]
        if asked.get("think"):
            config["thinkingConfig"] = {"includeThoughts": True, "thinkingLevel": "LOW"}
        return {"model": self.model, "contents": list(self.history), "config": config}

    def read(self, reply: Json) -> Answer:
        (candidate,), usage = reply["candidates"], reply["usageMetadata"]
        parts = candidate["content"]["parts"]
        self.history.append({"role": "model", "parts": parts})
        texts = [part for part in parts if part.get("text")]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        return Answer(
            text="".join(part["text"] for part in texts if not part.get("thought")),
            calls=[(call["id"], call["name"], call["args"]) for call in calls],
            finish=_FINISH.get(candidate["finishReason"], candidate["finishReason"]),
            input_tokens=usage["promptTokenCount"],
            output_tokens=usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0),
            thoughts="".join(part["text"] for part in texts if part.get("thought")),
        )

    def answer_calls(self, calls: list[tuple[str, str, Any]]) -> None:
        given = [{"name": call[1], "response": {"output": "seen"}} for call in reversed(calls)]
        parts = [{"functionResponse": each} for each in given]
        self.history.append({"role": "user", "parts": parts})


_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def _sendable(answered: Json) -> Json:
    """A message or block without what an SDK adds to it and the API takes in no request."""
    added = ("parsed", "parsed_output", "citations", "caller")
    return {k: v for k, v in answered.items() if k not in added}


CLIENTS = {client.name: client for client in (Chat, Responses, Messages, Contents)}
