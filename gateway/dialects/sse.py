"""Server-sent events, split on bytes.

* A line ends with LF, CRLF or CR; an event ends with an empty line.
* `str.splitlines()` also cuts at U+2028, which is legal inside a JSON string, and a multibyte
  character may be cut anywhere: so nothing here is text until an event is whole.
* Comments, `id` and `retry` are read and dropped. We never write an `id`: the OpenAI SDK
  dispatches an empty event after it (protocols.md section 2).
"""

from typing import NamedTuple

LIMIT = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """An event over `LIMIT` bytes: the upstream is broken or hostile."""


class Frame(NamedTuple):
    """One event: its name ("" when it has none) and its data, lines joined by LF."""

    event: str
    data: bytes


class Splitter:
    """Bytes in, whole frames out, wherever the bytes were cut."""

    __slots__ = ("_after_cr", "_buffer", "_fresh")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._after_cr = False
        self._fresh = True

    @property
    def is_empty(self) -> bool:
        """Whether no event has begun that is not whole."""
        return not (self._buffer or self._after_cr)

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that `chunk` completes. TooLong when one never ends."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._only_lf(chunk)
        seen = max(len(self._buffer) - 1, 0)
        self._buffer += chunk
        end = self._buffer.rfind(b"\n\n", seen)
        if end < 0:
            if len(self._buffer) > LIMIT:
                raise TooLong(f"an event is longer than {LIMIT} bytes")
            return []
        whole = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return self._frames(whole)

    def close(self) -> list[Frame]:
        """The frame left at the end of the stream, when its empty line never came."""
        whole = bytes(self._buffer)
        self._buffer.clear()
        return self._frames(whole)

    def _only_lf(self, chunk: bytes) -> bytes:
        # A trailing CR may be half of a CRLF: it already ends the line, and an LF that opens
        # the next chunk then belongs to it.
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _frames(self, whole: bytes) -> list[Frame]:
        if self._fresh:
            whole, self._fresh = whole.removeprefix(_BOM), False
        found = map(_frame, whole.split(b"\n\n"))
        return [frame for frame in found if frame is not None]


def _frame(block: bytes) -> Frame | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return Frame("", block[6:])
    if block.startswith(b"event: "):  # as the vendors write it: a name, and one line of data
        name, _, value = block.partition(b"\ndata: ")
        if value and b"\n" not in value and b"\n" not in name:
            return Frame(name[7:].decode("utf-8", "replace"), value)
    event, data = b"", []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    if not data:
        return None
    return Frame(event.decode("utf-8", "replace"), b"\n".join(data))


def encode(event: str, data: bytes) -> bytes:
    """One event in one `data` line; `data` holds no line break (JSON never does)."""
    if not event:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
