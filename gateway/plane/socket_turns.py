"""One response on a WebSocket: an exchange whose request was a message, and whose answer is one
message an event. All else (limits, hold, receipt, drain, fair bill) is the pipeline's.

What a POST is told in its head the first event has as `headers`; what refuses it is an `error`
event with its `status`. Each names the lane of its `stream_id`.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.types import Receive, Scope
from uuid_utils import uuid7

from gateway.plane import life, wire
from gateway.plane.exchange import Config, Exchange
from gateway.plane.members import Written
from gateway.plane.socket_wire import SocketWire
from hontoni.errors import ApiError

_PLAIN = re.compile(rb"event: [^\n]*\ndata: (\{[^\n]*)\n\n")  # as nearly everybody writes one
_BREAK = re.compile(rb"\r\n|\n|\r")
_ENDS = ("response.completed", "response.incomplete")
_MAY_END = b"complete"  # of both
_ENDED = re.compile(rb'\{"type": ?"response\.(?:completed|incomplete)"')
Remember = Callable[[bytes, bool], None]


class Turn(Exchange):
    """`remember` is given the event that ends it well, before its client hears that, and whether
    it is kept elsewhere. `status` is 0 while it goes on and after it went well."""

    __slots__ = ("_announced", "_asked", "_lane", "_socket", "remember", "status")

    def __init__(
        self, scope: Scope, left: Receive, config: Config, socket: SocketWire, lane: str
    ) -> None:
        super().__init__(scope, left, _unused, config)
        self._socket, self.status = socket, 0
        self.remember: Remember = _forget
        self._asked = self._announced = b""
        self._lane = b',"stream_id":' + orjson.dumps(lane) if lane else b""

    def ask(self, parsed: Written, body: bytes) -> None:
        """This is its request. Raises Unavailable while too much is held already."""
        self.hold(len(body))
        self.parsed, self._asked = parsed, body

    def whole_body(self) -> bytes | None:
        if len(self._asked) > self.config.max_body_bytes:
            raise self.too_large()
        body, self._asked = self._asked, b""
        return body

    async def respond(self, status: int, body: bytes, more: bytes = b"") -> None:
        """What refuses it; nothing else comes whole."""
        self.answer, self.keep_alive = life.answer(self.answer, life.ENDED), None
        self.status = status
        told = orjson.loads(body)
        event = {"type": "error", "status": status, "error": told.get("error")}
        event |= {"request_id": self.request_id, "headers": _named(more + self._base())}
        await self._socket.write([_with(orjson.dumps(event), self._lane)])

    async def start_stream(self, more: bytes = b"") -> None:
        self.answer = life.answer(self.answer, life.BEGUN)
        self._announced = b',"headers":' + _object(more + self._base())

    def write_now(self, data: bytes) -> bool:
        messages = self._messages(data)
        if messages and not self._socket.write_now(messages):
            return False
        self._announced = b""
        self._quiet = self.writing = False
        return True

    async def _write(self, data: bytes) -> None:
        if messages := self._messages(data):
            await self._socket.write(messages)
            self._announced = b""

    async def end_stream(self) -> None:
        self.answer, self.keep_alive = life.answer(self.answer, life.ENDED), None

    def _messages(self, data: bytes) -> list[bytes]:
        """The events in it, each as one message; a comment is none."""
        found = _events(data)
        if _MAY_END in data:
            self._look_for_the_end(found)
        if self._lane:
            found = [_with(each, self._lane) for each in found]
        if found and self._announced:
            found[0] = _with(found[0], self._announced)
        return found

    def _look_for_the_end(self, found: list[bytes]) -> None:
        for each in reversed(found):
            if _MAY_END in each and _ends(each):
                return self.remember(each, self.kept is not None)

    async def prepared(self, parsed: Mapping[str, Any]) -> None:
        """Answer one that wants no output, only a state to go on from."""
        response = _prepared(parsed)
        events = ("response.created", "in_progress"), ("response.completed", "completed")
        await self.start_stream()
        for number, (kind, status) in enumerate(events):
            usage = _NO_USAGE if status == "completed" else None
            given = response | {"status": status, "usage": usage}
            event = {"type": kind, "sequence_number": number, "response": given}
            await self.write(b"data: %b\n\n" % orjson.dumps(event))
        await self.end_stream()


_NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def _prepared(parsed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"resp_{uuid7().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": parsed.get("instructions"),
        "metadata": parsed.get("metadata") or {},
        "model": parsed["model"],
        "output": [],
        "parallel_tool_calls": parsed.get("parallel_tool_calls") is not False,
        "previous_response_id": parsed.get("previous_response_id"),
        "store": False,
        "tool_choice": parsed.get("tool_choice") or "auto",
        "tools": parsed.get("tools") or [],
    }


def _events(data: bytes) -> list[bytes]:
    """The JSON of each event."""
    found: list[bytes] = _PLAIN.findall(data)
    if data.count(b"\n") == 3 * len(found) and b"\r" not in data:
        return found
    lines = (line[5:].strip() for line in _BREAK.split(data) if line.startswith(b"data:"))
    return [line for line in lines if line.startswith(b"{")]


def _ends(event: bytes) -> bool:
    if _ENDED.match(event):
        return True
    try:
        return orjson.loads(event).get("type") in _ENDS
    except orjson.JSONDecodeError:
        return False


def _with(event: bytes, members: bytes) -> bytes:
    """An object of JSON that has a member, and these as well."""
    return b"%b%b}" % (event[:-1], members) if members else event


def _named(head: bytes) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in wire.headers(head)}


def _object(head: bytes) -> bytes:
    """The same as JSON."""
    if head.count(b": ") != head.count(b"\r\n") or not head.isascii() or b"\t" in head:
        return orjson.dumps(_named(head))
    plain = head[:-2].replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'{"%b"}' % plain.replace(b": ", b'":"').replace(b"\r\n", b'","')


def refusal(error: ApiError, request_id: str, lane: str = "") -> bytes:
    """The message that refuses what is no request yet."""
    event = {"type": "error", "status": error.status, **_error(error, request_id)}
    if lane:
        event["stream_id"] = lane
    return orjson.dumps(event)


def _error(error: ApiError, request_id: str) -> dict[str, Any]:
    told = {"error": error.body(request_id)["error"], "request_id": request_id}
    return told | ({"headers": error.headers} if error.headers else {})


def _forget(event: bytes, kept: bool) -> None:
    pass


async def _unused(message: Any) -> None:
    raise RuntimeError("A turn on a WebSocket is answered in messages.")
