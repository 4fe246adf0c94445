"""Hosts that speak Chat Completions, or Messages, each with habits of its own.

`/hosts/{name}` and behind it the path that the host itself has. What a host does not know it
refuses by name, and what it counts it tells where it always does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.vendors import anthropic, chat
from sandbox.vendors.clouds.door import Door, Serve
from sandbox.vendors.conversation import Ask, Json, Sent, mapping, objects
from sandbox.vendors.script import Turn, asks_to_think
from sandbox.vendors.usage import Tokens
from sandbox.vendors.vendors import VendorError
from sandbox.vendors.wire import Frame

_LIMIT = "max_completion_tokens"
_PLAIN = "gpt-4.1"
_THEIRS = ("random_seed",)


@dataclass(frozen=True, slots=True)
class Host:
    """`path` is what its address has behind its name. `refuses` are members it does not know.
    `cached` is where it tells cached tokens, `beside`: it counts reasoning beside the completion.
    `always`: usage comes unasked. `open`: it asks for no key."""

    path: str
    models: tuple[str, ...]
    refuses: tuple[str, ...] = ()
    developer: bool = True
    schemas: bool = True
    cached: str = ""
    beside: bool = False
    always: bool = False
    replays: bool = False
    open: bool = False


HOSTS = {
    "deepseek": Host(
        "",
        ("deepseek-v4-pro", "deepseek-v4.1-flash"),
        (_LIMIT, "store", "safety_identifier"),
        developer=False,
        schemas=False,
        cached="prompt_cache_hit_tokens",
        replays=True,
    ),
    "qwen": Host(
        "/compatible-mode/v1",
        ("qwen3.8-max", "qwen3.8-27b"),
        (_LIMIT, "store", "safety_identifier"),
        developer=False,
    ),
    "kimi": Host(
        "/v1",
        ("kimi-k3",),
        (_LIMIT, "store", "safety_identifier"),
        developer=False,
        cached="cached_tokens",
        replays=True,
    ),
    "glm": Host(
        "/api/paas/v4",
        ("glm-5.3", "glm-5.3-flash"),
        (_LIMIT, "store", "safety_identifier", "parallel_tool_calls", "prompt_cache_key"),
        developer=False,
        schemas=False,
        replays=True,
    ),
    "mistral": Host(
        "/v1",
        ("mistral-large-latest", "codestral-latest"),
        (_LIMIT, "store", "safety_identifier", "stream_options", "user", "seed", "logit_bias",
         "prompt_cache_key", "reasoning_effort", "service_tier"),
        developer=False,
        always=True,
    ),
    "xai": Host("/v1", ("grok-4.7",), ("store", "safety_identifier"), beside=True),
    "groq": Host(
        "/openai/v1",
        ("openai/gpt-oss-120b", "llama-3.3-70b-versatile"),
        ("store", "safety_identifier", "logit_bias", "logprobs", "top_logprobs",
         "prompt_cache_key", "verbosity", "prediction"),
    ),
    "together": Host("/v1", ("moonshotai/Kimi-K3",), (_LIMIT, "store", "safety_identifier")),
    "vllm": Host("/v1", ("our-own-model",), ("store", "safety_identifier"), open=True),
    "ollama": Host(
        "/v1", ("llama3.3",), (_LIMIT, "store", "safety_identifier"), developer=False, open=True
    ),
}  # fmt: skip


class Compatible(Door):
    """Chat Completions at one host."""

    def __init__(self, host: Host) -> None:
        super().__init__(chat)
        self.host = host

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        if self.host.open and not headers.get("authorization"):
            return ""
        return chat.authenticate(headers, query)

    def knows(self, key: str) -> bool:
        return self.host.open and not key

    def understood(self, sent: Sent) -> Sent:
        host, body = self.host, sent.body
        if sent.model not in host.models:
            raise VendorError("Model Not Exist", status=404, code="model_not_found")
        for name in host.refuses:
            if name in body:
                raise VendorError(f"property '{name}' is unsupported", param=name)
        if not host.developer and any(
            m.get("role") == "developer" for m in objects(body.get("messages"))
        ):
            raise VendorError("messages: unknown variant `developer`, expected one of `system`")
        if not host.schemas and mapping(body.get("response_format")).get("type") == "json_schema":
            raise VendorError("This response_format type is unavailable now")
        if host.replays:
            _thought_before_it_called(objects(body.get("messages")))
        if host.always and body.get("stream"):
            body = body | {"stream_options": {"include_usage": True}}
        return replace(sent, body=_bare(body))

    def check(self, sent: Sent) -> None:
        """By the rules of a plain model: OpenAI's own have rules by their names."""
        chat.check(replace(sent, model=_PLAIN, body=sent.body | {"model": _PLAIN}))

    def fits(self, sent: Sent, used: int) -> None:
        chat.fits(replace(sent, model=_PLAIN), used)

    def read(self, sent: Sent) -> Ask:
        ask = chat.read(sent)
        wanted = next((s.text for s in reversed(ask.history) if s.user and s.text), "")
        return replace(ask, thinks=asks_to_think(wanted), shows=True)

    def whole(self, sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Json:
        body = chat.whole(sent, ask, turn, tokens)
        if turn.thinking:
            for choice in body["choices"]:
                choice["message"]["reasoning_content"] = turn.thinking
        return self._told(body)

    def events(self, sent: Sent, ask: Ask, turn: Turn, tokens: Tokens) -> Iterator[Frame]:
        frames = chat.events(sent, ask, turn, tokens)
        first = next(frames)
        yield first
        if turn.thinking:
            yield _thinking(first, turn.thinking)
        for frame in frames:
            if b'"usage":{' in frame.data:
                told = self._told(orjson.loads(frame.data.removeprefix(b"data: ")))
                frame = frame._replace(data=b"data: " + orjson.dumps(told) + b"\n\n")
            yield frame

    def _told(self, body: Json) -> Json:
        """With the usage as this host has it."""
        usage = body.get("usage")
        if not usage:
            return body
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        if self.host.cached:
            usage = {k: v for k, v in usage.items() if k != "prompt_tokens_details"}
            usage[self.host.cached] = cached
        if self.host.beside:
            reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
            usage = usage | {"completion_tokens": usage["completion_tokens"] - reasoning}
        return body | {"usage": usage}


def _thought_before_it_called(messages: list[Json]) -> None:
    """In a turn that is not over, a call needs what was thought before it."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return
        if message.get("tool_calls") and not message.get("reasoning_content"):
            raise VendorError(
                "Missing `reasoning_content` field in the assistant message at message index "
                f"{messages.index(message)}."
            )


def _bare(body: Json) -> Json:
    """As OpenAI's own lint takes it: what these hosts know beyond that is theirs."""
    messages = [
        {k: v for k, v in message.items() if k != "reasoning_content"}
        for message in objects(body.get("messages"))
    ]
    kept = {name: value for name, value in body.items() if name not in _THEIRS}
    return kept | {"messages": messages}


def _thinking(first: Frame, text: str) -> Frame:
    chunk = orjson.loads(first.data.removeprefix(b"data: "))
    for choice in chunk["choices"]:
        choice["delta"] = {"reasoning_content": text}
    return Frame(b"data: " + orjson.dumps(chunk) + b"\n\n", True, True)


class Claudeish(Door):
    """Messages at a host that is not Anthropic: another model, and its own key."""

    def knows(self, key: str) -> bool:
        return False

    def understood(self, sent: Sent) -> Sent:
        if sent.model not in ("glm-5.3", "kimi-k3", "deepseek-v4-pro"):
            raise VendorError(f"model: {sent.model}", status=404)
        return replace(sent, body=sent.body | {"model": "claude-opus-4-6"})


def routes(serve: Serve) -> Iterator[Route]:
    def post(path: str, door: Any) -> Route:
        async def endpoint(request: Request) -> Response:
            return await serve(door(), request)

        return Route(path, endpoint, methods=["POST"])

    for name, host in HOSTS.items():
        path = f"/hosts/{name}{host.path or '/v1'}/chat/completions"
        yield post(path, lambda host=host: Compatible(host))
    yield post("/hosts/anthropic/v1/messages", lambda: Claudeish(anthropic))
