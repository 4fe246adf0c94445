"""What a test can make go wrong with the next answer, beyond what a prompt can ask for."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sandbox.vendors.wire import EVENT_STREAM, Answer, Frame

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad answer. Times are in seconds, sizes in bytes.

    `status`, `headers` and `body` make a whole answer in place of the vendor's own. The others
    bend the answer that is sent: `delay` before its first byte, `silence` before frame number
    `silence_at`, `without` every frame that holds one of these bytes, `edit` each frame, `crlf`
    line ends, `pieces` of so many bytes each, and after so many bytes the connection drops
    (`cut_after`) or the body ends as if it were whole (`end_after`). `path`: only for a request
    whose path ends so.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    silence: float = 0.0
    silence_at: int = 0
    cut_after: int | None = None
    end_after: int | None = None
    crlf: bool = False
    without: tuple[bytes, ...] = ()
    edit: Callable[[bytes], bytes] | None = None
    pieces: int | None = None
    path: str = ""

    def replaces(self) -> bool:
        return self.status is not None or self.body is not None

    def bend(self, answer: Answer) -> Answer:
        """The same answer, with this fault in it."""
        frames = [
            self._edited(f) for f in answer.frames if not any(w in f.data for w in self.without)
        ]
        end = self.end_after if self.cut_after is None else self.cut_after
        if end is not None:
            frames = _first(frames, end)
        if self.pieces:
            frames = _pieces(frames, self.pieces)
        return replace(
            answer,
            frames=frames,
            headers={**answer.headers, **self.headers},
            delay=answer.delay + self.delay,
            silence=self.silence,
            silence_at=self.silence_at if self.silence else None,
            dropped=answer.dropped or self.cut_after is not None,
        )

    def whole(self) -> Answer:
        """The answer in place of the vendor's own."""
        headers = {"content-type": "application/json", **self.headers}
        frames = [Frame(self.body or b"", True)]
        streams = headers["content-type"].startswith("text/event-stream")
        return self.bend(Answer(frames, self.status or 200, headers, stream=streams))

    def _edited(self, frame: Frame) -> Frame:
        data = self.edit(frame.data) if self.edit else frame.data
        return frame._replace(data=data.replace(b"\n", b"\r\n") if self.crlf else data)


def html_page(status: int = 502) -> Fault:
    """A proxy's error page where JSON belongs."""
    return Fault(status=status, headers={"content-type": "text/html"}, body=HTML)


def bad_gzip() -> Fault:
    """A body that says it is gzip, and is not after its first bytes."""
    body = gzip.compress(b"{}")[:10] + b"\xff" * 20
    return Fault(headers={"content-encoding": "gzip"}, body=body)


def half_json() -> Fault:
    """A unary answer that ends in the middle."""
    return Fault(body=b'{"id": "chatcmpl-1", "choices": [{"index": 0, "mess')


def error_first(data: bytes, event: bytes = b"error") -> Fault:
    """HTTP 200, and then an error as the first event (Anthropic, when overloaded)."""
    head = b"event: " + event + b"\n" if event else b""
    return Fault(headers={"content-type": EVENT_STREAM}, body=head + b"data: " + data + b"\n\n")


def long_line(size: int = 5 << 20) -> Fault:
    """A stream whose first line never seems to end."""
    return Fault(headers={"content-type": EVENT_STREAM}, body=b"data: " + b"x" * size)


def no_done() -> Fault:
    """A stream without its terminal event, that ends as if it were whole."""
    return Fault(without=(b"data: [DONE]", b"event: message_stop", b"event: response.completed"))


def _first(frames: list[Frame], size: int) -> list[Frame]:
    kept = []
    for frame in frames:
        if size <= 0:
            break
        kept.append(frame._replace(data=frame.data[:size]))
        size -= len(frame.data)
    return kept


def _pieces(frames: list[Frame], size: int) -> list[Frame]:
    data = b"".join(frame.data for frame in frames)
    return [Frame(data[n : n + size], True) for n in range(0, len(data), size)]
