"""Text messages on an open WebSocket, past uvicorn's own `send`, as wire.py does for answers.

A message costs it an object, a lock and a write of its own; here those of a chunk are one write.
Under any other server a message goes the way ASGI has for it. Nothing is compressed: events are
small, and who has the key would see what it costs in the processor's time alone.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from struct import Struct
from typing import Any

from starlette.types import Message, Receive, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_TEXT = 0x81  # a whole message of text
_SHORT, _MEDIUM = 126, 65_536
_medium, _large = Struct(">BBH").pack, Struct(">BBQ").pack


def framed(message: bytes) -> bytes:
    """A message as RFC 6455 has it from a server: not masked."""
    size = len(message)
    if _SHORT <= size < _MEDIUM:  # nearly always
        return _medium(_TEXT, 126, size) + message
    return (b"%c%c" % (_TEXT, size) if size < _SHORT else _large(_TEXT, 127, size)) + message


class SocketWire:
    """One WebSocket, once it is accepted."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive, self._send = receive, send
        known = getattr(send, "__func__", None) is WebSocketsSansIOProtocol.send
        self._protocol: Any = send.__self__ if known else None  # type: ignore[attr-defined]

    def may_send(self, most: int) -> None:
        """Let its client's messages have so many bytes: before, it was anybody."""
        if self._protocol is not None:
            self._protocol.conn.max_message_size = most

    def meter(self, arrived: Callable[[int], None]) -> None:
        """Tell of every byte that arrives, before its message is whole."""
        if self._protocol is None:
            return
        take = self._protocol.data_received

        def counted(data: bytes) -> None:
            arrived(len(data))
            take(data)

        self._protocol.data_received = counted
        self._protocol.transport.set_protocol(self._protocol)  # which uvloop looks up but once

    def hand_over(self, take: Callable[[bytes], bool]) -> None:
        """Hand a whole message to `take` at once; what it does not take waits to be received."""
        if self._protocol is None:
            return
        protocol, queued = self._protocol, self._protocol.send_receive_event_to_app

        def whole() -> None:
            clear = protocol.queue.empty() and not (protocol.close_sent or protocol.read_paused)
            if clear and len(protocol.frames) == 1 and take(protocol.frames[0]):
                protocol.frames = []
            else:
                queued()

        protocol.send_receive_event_to_app = whole

    def when_stopping(self, stop: Callable[[], None]) -> None:
        """In place of what the server does with it when it ends, which is to close it."""
        if self._protocol is not None:
            self._protocol.shutdown = stop

    def write_now(self, messages: Sequence[bytes]) -> bool:
        """False, and nothing is done, if its client has not read enough of what was written."""
        protocol = self._protocol
        if protocol is None or not protocol.writable.is_set():
            return False
        transport = protocol.transport
        if not (protocol.close_sent or protocol.disconnected or transport.is_closing()):
            one = len(messages) == 1
            transport.write(framed(messages[0]) if one else b"".join(map(framed, messages)))
        return True

    async def write(self, messages: Sequence[bytes]) -> None:
        """The same once it has; nothing if it has left."""
        if self._protocol is None:
            for message in messages:
                await self._send({"type": "websocket.send", "text": message.decode()})
            return
        await self._protocol.writable.wait()
        self.write_now(messages)

    async def accept(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "websocket.accept", "headers": list(headers)})

    async def close(self, code: int, reason: str) -> None:
        """Once: later nobody hears it."""
        message: Message = {"type": "websocket.close", "code": code, "reason": reason}
        with suppress(RuntimeError, OSError):
            await self._send(message)
