"""Content codings of request bodies (RFC 9110, 8.4): `gzip`, `deflate`, `br` and `zstd`, undone
piece by piece, so that a few bytes never become more than a request may have.

A large body costs its sender a slot while it is read (bodies.py); one that only becomes large does
so as well.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import brotli
from backports import zstd

from hontoni.errors import ApiError, BadRequest

_PIECE_BYTES = 256 * 1024
_WINDOW_LOG = 23  # 8 MiB, the most that RFC 9659 lets a sender use
_MOST_FRAMES = 64  # that begin a body anew: the rest is copied for each
_PLAIN = ("", "identity")


class Unsupported(ApiError):
    """A content coding that we do not undo."""

    status, type, code = 415, "invalid_request_error", "unsupported_encoding"


class Decoder(Protocol):
    """`piece` is what comes next, some _PIECE_BYTES at most; nothing once it is `over`. Raises one
    of _BROKEN for what cannot be undone."""

    over: bool

    def piece(self) -> bytes: ...


class _Framed:
    """Of gzip and zstd: frames behind each other are one body."""

    def __init__(self, body: bytes, frame: Callable[[], "_Frame"]) -> None:
        self._frame, self._open, self._unread = frame, frame(), body
        self._frames = 0
        self.over = not body

    def piece(self) -> bytes:
        given, self._unread = self._unread, b""
        out = self._open.decompress(given, _PIECE_BYTES)
        if self._open.eof:
            self._unread = self._open.unused_data
            self.over = not self._unread
            self._open = self._frame()
            self._frames += 1
            if self._frames > _MOST_FRAMES:
                raise EOFError("it begins anew too often")
        elif not out:
            raise EOFError("it breaks off")
        return out


class _Frame(Protocol):
    """One frame of such a body."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """A frame of zlib's, which leaves with its caller what it has not read."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail or data, max_length)


class _Brotli:
    """One stream, which nothing may follow."""

    def __init__(self, body: bytes) -> None:
        self._inner, self._unread = brotli.Decompressor(), body
        self.over = not body

    def piece(self) -> bytes:
        given, self._unread = self._unread, b""
        out: bytes = self._inner.process(given, output_buffer_limit=_PIECE_BYTES)
        self.over = self._inner.is_finished()
        if not out and not self.over:
            raise EOFError("it breaks off")
        return out


def _zstd() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


_GZIP, _DEFLATE = 31, 15  # zlib's words for them
_DECODERS: Mapping[str, Callable[[bytes], Decoder]] = {
    "zstd": lambda body: _Framed(body, _zstd),
    "gzip": lambda body: _Framed(body, lambda: _Zlib(_GZIP)),
    "x-gzip": lambda body: _Framed(body, lambda: _Zlib(_GZIP)),
    "deflate": lambda body: _Framed(body, lambda: _Zlib(_DEFLATE)),
    "br": _Brotli,
}
_BROKEN = (zlib.error, zstd.ZstdError, brotli.error, EOFError)
ACCEPTED = ", ".join(name for name in _DECODERS if name != "x-gzip")


def named(header: bytes) -> str:
    """The coding that a Content-Encoding names, "" for none. Raises Unsupported."""
    codings = [name.strip().lower() for name in header.decode("latin-1").split(",")]
    given = [name for name in codings if name not in _PLAIN]
    if not given:
        return ""
    if len(given) > 1 or given[0] not in _DECODERS:
        raise Unsupported(
            f"Content-Encoding: send the body plain, or in one of {ACCEPTED}.",
            headers={"Accept-Encoding": ACCEPTED},
        )
    return given[0]


class Coded:
    """A body that is coded, of `sent` bytes. `size` is how many it has become so far."""

    def __init__(self, coding: str, body: bytes) -> None:
        self.coding, self.sent, self.size = coding, len(body), 0
        self._decoder, self._pieces = _DECODERS[coding](body), list[bytes]()

    @property
    def over(self) -> bool:
        """Whether it is undone."""
        return self._decoder.over

    def step(self) -> None:
        """Undo the next piece. Raises BadRequest."""
        try:
            piece = self._decoder.piece()
        except _BROKEN:
            raise BadRequest(
                f"The request body is not {self.coding}, as its Content-Encoding says.",
                code="invalid_encoding",
            ) from None
        self._pieces.append(piece)
        self.size += len(piece)

    def whole(self) -> bytes:
        """What it says, once it is undone."""
        return b"".join(self._pieces)
