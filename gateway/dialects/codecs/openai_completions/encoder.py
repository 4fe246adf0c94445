"""Events as chunks of a completion, and a whole reply as one.

What was thought is not shown; with `echo` the prompt stands before the answer. Usage, ends and
errors are Chat's: both are OpenAI's.
"""

from typing import Any

import orjson

from gateway.dialects.codecs import openai_chat
from gateway.dialects.codecs.openai_chat.reply import FINISH
from gateway.dialects.codecs.openai_completions.request import prompt_of
from gateway.dialects.ir import (
    Event,
    Failed,
    Finish,
    Head,
    Message,
    Refusal,
    RefusalDelta,
    Reply,
    Text,
    TextDelta,
    TextOpen,
    Usage,
    UsageSeen,
)


class Encoder:
    """`feed` every event; send what it gives."""

    __slots__ = ("_echo", "_gap", "_head", "_spoke", "_usage")

    def __init__(self, head: Head) -> None:
        self._head, self._usage = head, Usage(input=head.input_tokens)
        self._echo, self._gap, self._spoke = _echo(head), "", False

    def feed(self, event: Event) -> bytes:
        if isinstance(event, TextDelta | RefusalDelta):
            text = self._echo + self._gap + event.text
            self._echo, self._gap, self._spoke = "", "", True
            return self._chunk(text)
        if isinstance(event, TextOpen):
            self._gap = "\n\n" if self._spoke and not event.joined else ""
        elif isinstance(event, UsageSeen):
            self._usage = event.usage
        elif isinstance(event, Finish):
            return self._finish(event)
        elif isinstance(event, Failed):
            return b"data: " + orjson.dumps(encode_error(event)) + b"\n\n"
        return b""

    def ping(self) -> bytes:
        return b": keep-alive\n\n"

    def _chunk(self, text: str, finish: str | None = None) -> bytes:
        body = _shaped(self._head, [_choice(text, finish)])
        if self._head.request.include_usage:
            body["usage"] = None
        return b"data: " + orjson.dumps(body) + b"\n\n"

    def _finish(self, event: Finish) -> bytes:
        echoed, self._echo = self._echo, ""
        last = self._chunk(echoed, FINISH.get(event.reason, "stop"))
        if self._head.request.include_usage:
            counted = openai_chat.encode_usage(self._usage)
            usage = _shaped(self._head, []) | {"usage": counted}
            last += b"data: " + orjson.dumps(usage) + b"\n\n"
        return last + b"data: [DONE]\n\n"


def _echo(head: Head) -> str:
    return prompt_of(head.body) if head.body.get("echo") is True else ""


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}


def _shaped(head: Head, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"cmpl-{head.reply_id}",
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "choices": choices,
    }


def encode_reply(reply: Reply, head: Head) -> dict[str, Any]:
    """Call it with a reply that ended well; an error is answered by its status instead."""
    reason = reply.end.reason if isinstance(reply.end, Finish) else "stop"
    messages = [item for item in reply.items if isinstance(item, Message)]
    texts = (
        "".join(part.text for part in each.parts if isinstance(part, Text | Refusal))
        for each in messages
    )
    text = _echo(head) + "\n\n".join(said for said in texts if said)
    counted = {"usage": openai_chat.encode_usage(reply.usage)}
    return _shaped(head, [_choice(text, FINISH.get(reason, "stop"))]) | counted


def encode_error(failed: Failed) -> dict[str, Any]:
    """As Chat's: both are OpenAI's."""
    return openai_chat.encode_error(failed)
