"""The contents of a Gemini body, read.

* Calls often have no id: theirs are made from their place, and a response without one answers the
  first call of its name that has none yet.
* A signature stands on the part that it was made before. Whose it is shows when it is opened, so
  it is kept with the call and as reasoning before it.
* Thoughts are parts like all others, marked.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.dialects.codecs import carrier, media, wire
from gateway.dialects.codecs.gemini.body import DIALECT, SENTINEL
from gateway.dialects.ir import (
    Audio,
    Carrier,
    Document,
    Image,
    Item,
    Message,
    Opaque,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)

_ROLES = {"": "user", "user": "user", "model": "assistant", "function": "user", "tool": "user"}
_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
_FILES = "generativelanguage.googleapis.com"
_OUTPUTS = ("output", "result", "content")


def decode_contents(contents: list[dict[str, Any]]) -> Iterator[Item]:
    """The items of a conversation. BadRequest for what is malformed."""
    calls = _Calls()
    for at, content in enumerate(contents):
        where = f"contents[{at}]"
        name = wire.text(content.get("role"), f"{where}.role")
        role = _ROLES.get(name) or wire.refuse(f"{where}.role", f"{name[:40]!r} is no role")
        parts = wire.objects(content.get("parts"), f"{where}.parts")
        if not parts:
            wire.refuse(f"{where}.parts", "must not be empty")
        yield from _Turn(role, calls).items(parts, where)


def decode_instruction(given: Any) -> Iterator[Item]:
    """`systemInstruction`: a content, or a text alone."""
    content = {"parts": [{"text": given}]} if isinstance(given, str) else given
    raw = wire.objects(wire.obj(content, "systemInstruction").get("parts"), "systemInstruction")
    parts = tuple(decode_part(part, f"systemInstruction.parts[{n}]") for n, part in enumerate(raw))
    if any(not isinstance(part, Text) or part.text for part in parts):
        yield Message("system", parts)


class _Calls:
    """The calls of a conversation that wait for their results, as far as it was read."""

    def __init__(self) -> None:
        self._number = 0
        self._open: list[tuple[str, str]] = []  # id, name

    def opened(self, call: Mapping[str, Any], where: str) -> tuple[str, str]:
        """The id and the name of a call."""
        name = wire.text(call.get("name"), f"{where}.name") or wire.refuse(where, "has no name")
        self._number += 1
        call_id = wire.text(call.get("id"), f"{where}.id") or f"call_{self._number}"
        self._open.append((call_id, name))
        return call_id, name

    def answered(self, answer: Mapping[str, Any], where: str) -> str:
        """The id of the call that a response is for."""
        given = wire.text(answer.get("id"), f"{where}.id")
        name = wire.text(answer.get("name"), f"{where}.name")
        same = [each for each in self._open if each[0] == given] if given else []
        found = next(iter(same or [each for each in self._open if each[1] == name]), None)
        if found is None:
            return given or name or wire.refuse(where, "has neither id nor name")
        self._open.remove(found)
        return found[0]


class _Turn:
    """One content: its parts gathered into messages, and what is an item between them."""

    def __init__(self, role: str, calls: _Calls) -> None:
        self._role, self._calls = role, calls
        self._parts: list[Part] = []
        self._thought: list[str] = []

    def items(self, parts: list[dict[str, Any]], where: str) -> Iterator[Item]:
        for at, part in enumerate(parts):
            yield from self._part(part, f"{where}.parts[{at}]")
        yield from self._thoughts(())
        yield from self._message()

    def _part(self, part: Mapping[str, Any], where: str) -> Iterator[Item]:
        secret = signature(wire.text(part.get("thoughtSignature"), f"{where}.thoughtSignature"))
        if part.get("thought"):
            yield from self._message()
            self._thought.append(wire.text(part.get("text"), f"{where}.text"))
            if secret:
                yield from self._thoughts((secret,))
            return
        if self._thought or secret:
            yield from self._message()
            yield from self._thoughts((secret,) if secret else ())
        if part.get("functionCall"):
            yield from self._message()
            yield self._call(wire.obj(part["functionCall"], where), secret, where)
        elif part.get("functionResponse"):
            yield from self._message()
            yield self._result(wire.obj(part["functionResponse"], where), where)
        elif part.get("text") != "" or not part.get("thoughtSignature"):
            self._parts.append(decode_part(part, where))

    def _message(self) -> Iterator[Item]:
        if self._parts:
            yield Message(self._role, tuple(self._parts))
            self._parts = []

    def _thoughts(self, secrets: tuple[Carrier, ...]) -> Iterator[Item]:
        said = "".join(self._thought)
        self._thought = []
        if said or secrets:
            yield Reasoning((said,) if said else (), carriers=secrets)

    def _call(self, call: Mapping[str, Any], secret: Carrier | None, where: str) -> ToolCall:
        call_id, name = self._calls.opened(call, f"{where}.functionCall")
        args = wire.dump(wire.obj(call.get("args"), f"{where}.functionCall.args"))
        return ToolCall(call_id, name, args, carriers=(secret,) if secret else ())

    def _result(self, answer: Mapping[str, Any], where: str) -> ToolResult:
        where = f"{where}.functionResponse"
        given = wire.obj(answer.get("response"), f"{where}.response")
        shown = wire.objects(answer.get("parts"), f"{where}.parts")
        media = (decode_part(part, f"{where}.parts[{at}]") for at, part in enumerate(shown))
        failed = set(given) == {"error"}
        return ToolResult(
            self._calls.answered(answer, where), (_output(given), *media), is_error=failed
        )


def _output(response: Mapping[str, Any]) -> Text:
    """What a function gave: its text where it is one, else the whole as JSON."""
    if len(response) == 1:
        ((name, value),) = response.items()
        if name in (*_OUTPUTS, "error") and isinstance(value, str):
            return Text(value)
    return Text(wire.dump(response))


def decode_part(part: Mapping[str, Any], where: str) -> Part:
    """A part that is no item of its own; one that nobody knows stays what it is."""
    if isinstance(part.get("text"), str):
        return Text(part["text"])
    if inline := part.get("inlineData"):
        return _inline(wire.obj(inline, f"{where}.inlineData"), where)
    if pointed := part.get("fileData"):
        return _file(wire.obj(pointed, f"{where}.fileData"), where)
    kind = next(iter(part), "part")
    return Opaque(DIALECT, {"type": kind, "text": _code(part), **part})


def _code(part: Mapping[str, Any]) -> str:
    """What Gemini ran, and what came of it, can be read."""
    for name, member in (("executableCode", "code"), ("codeExecutionResult", "output")):
        inner = part.get(name)
        if isinstance(inner, dict) and isinstance(inner.get(member), str):
            return str(inner[member])
    return ""


def _inline(raw: Mapping[str, Any], where: str) -> Part:
    data = wire.text(raw.get("data"), f"{where}.inlineData.data")
    data = data.replace("-", "+").replace("_", "/")  # Google's SDKs write it for URLs
    label = wire.text(raw.get("mimeType"), f"{where}.inlineData.mimeType")
    if sound := _SOUNDS.get(label.partition(";")[0].strip().lower()):
        return Audio(data, sound)
    kind = media.sniff(data, label)
    if kind.startswith("image/"):
        return Image(data=data, media_type=kind)
    if kind.startswith(("text/", "application/json")):
        return Document(text=_decoded(data, where), media_type="text/plain")
    return Document(data=data, media_type=media.still(kind), title=_title(raw))


def _decoded(data: str, where: str) -> str:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4)).decode()
    except (binascii.Error, ValueError):
        wire.refuse(f"{where}.inlineData.data", "is no text in base64")


def _title(raw: Mapping[str, Any]) -> str:
    return wire.text(raw.get("displayName"), "displayName")


def _file(raw: Mapping[str, Any], where: str) -> Part:
    """A URL that anybody may fetch. A file of Google's is in an account that all customers share:
    it may be another's, and nobody can upload one here."""
    uri = wire.text(raw.get("fileUri"), f"{where}.fileData.fileUri")
    if not uri.lower().startswith(("https://", "http://")) or _FILES in uri.lower():
        wire.unsupported(f"{where}.fileData", "send the file's bytes (inlineData), or a URL")
    label = wire.text(raw.get("mimeType"), f"{where}.fileData.mimeType")
    kind = media.still((label or media.guess(uri)).partition(";")[0].strip().lower())
    return Document(url=uri) if not kind.startswith("image/") else Image(url=uri)


def signature(text: str) -> Carrier | None:
    """A secret that came back: sealed by us, or Google's own."""
    if not text or text == SENTINEL:
        return None
    raw = text.replace("-", "+").replace("_", "/")
    try:
        opened = base64.b64decode(raw + "=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        opened = b""
    if opened.startswith(carrier.PREFIX.encode()):
        return carrier.closed(opened.decode("latin-1"), "google", "thought_signature")
    return carrier.closed(text, "google", "thought_signature")
