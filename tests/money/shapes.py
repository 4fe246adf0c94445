"""The shapes a request of the free rider's can take, and the bytes it is put into.

A shape is plain data, so that a run can print the cheapest one and replay it.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tests.money import papers

CHAT, RESPONSES, MESSAGES = "chat", "responses", "messages"
PATHS = {
    CHAT: "/v1/chat/completions",
    RESPONSES: "/v1/responses",
    MESSAGES: "/v1/messages",
}
_LIMITS = {CHAT: "max_tokens", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}
_LONG = "The same long preface, which a cache may know. " * 150
_SIZE = "[[document: %d pages]]"


@dataclass(frozen=True, slots=True)
class Shape:
    """One request. `words` are said after `reason` tokens of reasoning; `stop` is after that many
    words, -1 never; `leave` is after so many bytes of the body, -1 never; `extra` are raw members
    (`"n": 3`), `tools` raw tools; `fails` is how often the vendor fails first."""

    dialect: str = CHAT
    model: str = "gpt-4o"
    stream: bool = False
    words: int = 3
    reason: int = 0
    limit: int | None = None
    stop: int | None = None
    leave: int = -1
    media: str = ""
    pages: int = 1
    thinking: str = ""
    use: str = ""
    times: int = 1
    fails: int = 0
    cached: str = ""
    poor: bool = False
    beta: str = ""
    extra: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return PATHS[self.dialect]

    @property
    def headers(self) -> dict[str, str]:
        return {"anthropic-beta": self.beta} if self.beta else {}

    def told(self) -> str:
        """The shape as JSON, without what is usual."""
        usual = asdict(Shape())
        return json.dumps({k: v for k, v in asdict(self).items() if v != usual[k]})

    def plainer(self) -> "list[Shape]":
        """The same with one thing as usual: what a breach does not need can go."""
        usual = Shape()
        kept = ("dialect", "model")
        names = [f.name for f in fields(self) if f.name not in kept]
        changed = [n for n in names if getattr(self, n) != getattr(usual, n)]
        return [replace(self, **{name: getattr(usual, name)}) for name in changed]

    # -- The body ----------------------------------------------------------------------------

    def body(self, nonce: int) -> bytes:
        """As it is sent: members may occur twice, or under odd names."""
        plain = json.dumps(self._members(nonce))
        more = "".join(f", {member}" for member in self.extra)
        return f"{plain[:-1]}{more}}}".encode()

    def _members(self, nonce: int) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model}
        text = self._prompt(nonce)
        if self.dialect == RESPONSES:
            body["input"] = [{"role": "user", "content": self._parts(text)}]
        else:
            body["messages"] = [*self._history(), {"role": "user", "content": self._parts(text)}]
        if self.stream:
            body["stream"] = True
        if self.limit is not None or self.dialect == MESSAGES:
            body[_LIMITS[self.dialect]] = 2_000 if self.limit is None else self.limit
        if self.stop is not None:
            body["stop_sequences" if self.dialect == MESSAGES else "stop"] = [self._stop()]
        body |= self._thinks()
        if self.tools or self.use:
            body["tools"] = [*self._hosted(), *map(json.loads, self.tools)]
        return body

    def _stop(self) -> str:
        assert self.stop is not None
        return f"word{self.stop}" if self.stop >= 0 else "<<<END>>>"

    def _prompt(self, nonce: int) -> str:
        said = " ".join(f"word{n}" for n in range(self.words)) or "."
        told = [f"{nonce}", f"[[say: {said}]]"]
        if self.reason:
            told.append(f"[[reason: {self.reason}]]")
        if self.media:
            told.append(_SIZE % self.pages)
        if self.fails:
            told.append(f"[[errors: {self.fails} 529]]")
        if self.leave >= 0:
            told.append("[[slow: 0.004]]" if self.leave else "[[delay: 0.05]]")
        if self.use == "advisor":
            told.append(f"[[advise: {self.times * 1000} {self.times * 100}]]")
        elif self.use == "compaction":
            told.append(f"[[compact: {self.times * 1000} {self.times * 100}]]")
        elif self.use:
            told.append(f"[[use: {self.use} {self.times}]]")
        return " ".join(told)

    def _parts(self, text: str) -> Any:
        kind = "input_text" if self.dialect == RESPONSES else "text"
        parts: list[dict[str, Any]] = []
        if self.cached:
            first: dict[str, Any] = {"type": kind, "text": _LONG}
            if self.dialect == MESSAGES:
                first["cache_control"] = {"type": "ephemeral", "ttl": self.cached}
            parts.append(first)
        if self.media and self.media != "fake":
            parts.append(_MEDIA[self.dialect](self.media, self.pages))
        return [*parts, {"type": kind, "text": text}] if parts else text

    def _history(self) -> list[dict[str, Any]]:
        """A call whose free JSON calls itself an image."""
        if self.media != "fake":
            return []
        fake = {"type": "image", "text": "x" * 4 * self.pages * 1_000}
        if self.dialect == MESSAGES:
            use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": fake}
            result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
            return [
                {"role": "user", "content": "Look."},
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result]},
                {"role": "assistant", "content": "Seen."},
            ]
        function = {"name": "look", "arguments": json.dumps(fake)}
        call = {"id": "call_1", "type": "function", "function": function}
        return [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
        ]

    def _thinks(self) -> dict[str, Any]:
        """ "low", "high": an effort; "summarized", "omitted": how it is shown."""
        if not self.thinking:
            return {}
        if self.dialect == CHAT:
            return {"reasoning_effort": self.thinking if self.thinking != "omitted" else "high"}
        if self.dialect == RESPONSES:
            shown = {"summary": "auto"} if self.thinking == "summarized" else {}
            effort = self.thinking if self.thinking in ("low", "high") else "high"
            return {"reasoning": {"effort": effort, **shown}}
        shown = {"display": self.thinking} if self.thinking in ("summarized", "omitted") else {}
        return {"thinking": {"type": "enabled", "budget_tokens": 1_024, **shown}}

    def _hosted(self) -> list[Any]:
        return [_TOOLS[self.dialect, self.use]] if (self.dialect, self.use) in _TOOLS else []


_TOOLS: dict[tuple[str, str], dict[str, Any]] = {
    (MESSAGES, "web_search"): {"type": "web_search_20250305", "name": "web_search"},
    (MESSAGES, "web_fetch"): {"type": "web_fetch_20250910", "name": "web_fetch"},
    (MESSAGES, "code_execution"): {"type": "code_execution_20250825", "name": "code_execution"},
    (MESSAGES, "tool_search"): {
        "type": "tool_search_tool_regex_20251119",
        "name": "tool_search_tool_regex",
    },
    (MESSAGES, "advisor"): {
        "type": "advisor_20260301",
        "name": "advisor",
        "model": "claude-opus-4-6",
    },
    (MESSAGES, "google_search"): {"type": "web_search_20250305", "name": "web_search"},
    (RESPONSES, "google_search"): {"type": "web_search"},
    (RESPONSES, "web_search"): {"type": "web_search"},
    (RESPONSES, "file_search"): {"type": "file_search", "vector_store_ids": ["vs_1"]},
    (RESPONSES, "code_interpreter"): {"type": "code_interpreter", "container": {"type": "auto"}},
    (RESPONSES, "image_generation"): {"type": "image_generation"},
}


def _claude_media(kind: str, pages: int) -> dict[str, Any]:
    data = {"type": "base64", "media_type": "application/pdf"}
    sources: dict[str, dict[str, Any]] = {
        "pdf": data | {"data": papers.pdf(pages, packed=False)},
        "packed": data | {"data": papers.pdf(pages, packed=True)},
        "url": {"type": "url", "url": "https://example.com/book.pdf"},
        "file": {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"},
        "picture": {"type": "base64", "media_type": "image/png", "data": papers.PICTURE},
    }
    block = "image" if kind == "picture" else "document"
    return {"type": block, "source": sources[kind]}


def _pdf_url(kind: str, pages: int) -> str:
    return f"data:application/pdf;base64,{papers.pdf(pages, packed=kind == 'packed')}"


def _chat_media(kind: str, pages: int) -> dict[str, Any]:
    if kind == "picture":
        url = f"data:image/png;base64,{papers.PICTURE}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind in ("pdf", "packed"):
        return {"type": "file", "file": {"filename": "a.pdf", "file_data": _pdf_url(kind, pages)}}
    return {"type": "file", "file": {"file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"}}


def _responses_media(kind: str, pages: int) -> dict[str, Any]:
    if kind == "picture":
        return {"type": "input_image", "image_url": f"data:image/png;base64,{papers.PICTURE}"}
    if kind in ("pdf", "packed"):
        return {"type": "input_file", "filename": "a.pdf", "file_data": _pdf_url(kind, pages)}
    if kind == "url":
        return {"type": "input_file", "file_url": "https://example.com/book.pdf"}
    return {"type": "input_file", "file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"}


_MEDIA = {CHAT: _chat_media, MESSAGES: _claude_media, RESPONSES: _responses_media}


def parsed(told: str) -> Shape:
    """A shape as `told` wrote it."""
    given = json.loads(told)
    lists = {name: tuple(given[name]) for name in ("extra", "tools") if name in given}
    return Shape(**given | lists)
