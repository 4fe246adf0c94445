"""What is fuzzed. A target takes bytes and raises if what came of them must not be."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import orjson

from gateway.dialects import codecs, event_stream, sse
from gateway.dialects.codecs import families
from gateway.dialects.ir import Failed, Finish, Head, Target
from gateway.dialects.json_patch import parse, patch
from gateway.vendors.http_client import Client, Origin, _Connection
from hontoni.errors import BadRequest

_KEY = b"a key for tests"
_MODELS = {
    "gpt-4o": "openai_chat",
    "gpt-5": "openai_responses",
    "claude-sonnet-4": "anthropic_messages",
    "gemini-2.5-pro": "gemini",
    "nova-pro": "converse",
}
_TARGETS: list[Target] = [
    families.target(name, dialect, key=_KEY) for name, dialect in _MODELS.items()
]
# What gateway/plane/adapters.py answers with a 400, as it does BadRequest.
_REFUSED = (BadRequest, AttributeError, IndexError, KeyError, TypeError)


def _cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """The same bytes whole, and in pieces as long as the first byte says."""
    step, rest = (data[0] % 17 + 1, data[1:]) if data else (1, b"")
    return rest, [rest[at : at + step] for at in range(0, len(rest), step)]


def splitter(data: bytes) -> None:
    """Events are the same wherever the bytes are cut."""
    whole, pieces = _cut(data)
    one, many = sse.Splitter(), sse.Splitter()
    expected = one.feed(whole) + one.close()
    found = [frame for piece in pieces for frame in many.feed(piece)] + many.close()
    assert found == expected, (found, expected)


def unframing(data: bytes) -> None:
    """AWS's frames are the same wherever the bytes are cut, or refused either way."""
    whole, pieces = _cut(data)
    assert _unframed([whole]) == _unframed(pieces)


def _unframed(pieces: list[bytes]) -> bytes | None:
    unframer, told = event_stream.Unframer(), b""
    try:
        for piece in pieces:
            told += unframer.feed(piece)
    except ValueError:
        return None
    return told


def patching(data: bytes) -> None:
    """What is changed is changed, and all the rest stays."""
    try:
        before = parse(data)
        orjson.loads(data)
    except (BadRequest, orjson.JSONDecodeError):
        return  # or what only Python reads: NaN, half an emoji
    if "front" in before:
        return
    changes: dict[str, Any] = {"model": "another", "added": [1, {"a": None}]}
    gone = next((name for name in before if name not in changes), None)
    if gone is not None:
        changes[gone] = None
    after = parse(patch(data, before, changes, b'"front":"said"'))
    expected = before | changes | {"front": "said"}
    if gone is not None:
        del expected[gone]
    assert after == expected, (after, expected)


def http_answer(data: bytes) -> None:
    """A vendor's answer ends, well or badly, and nothing escapes from the connection."""
    whole, pieces = _cut(data)
    loop = asyncio.new_event_loop()
    try:
        for chunks in ([whole], pieces):
            _hear(loop, chunks)
    finally:
        loop.close()


def _hear(loop: asyncio.AbstractEventLoop, chunks: list[bytes]) -> None:
    connection = _Connection(MagicMock(spec=Client, silence_seconds=1), _ORIGIN, loop)
    transport = MagicMock(spec=asyncio.Transport)
    transport.is_closing.return_value = False
    transport.get_write_buffer_size.return_value = 0
    connection.connection_made(transport)
    reply = connection.send(b"POST / HTTP/1.1\r\nhost: x\r\n", b"{}")
    for chunk in chunks:
        connection.data_received(chunk)
    connection.connection_lost(None)
    assert reply._complete or reply._error is not None


_ORIGIN = Origin("example.com", 443, True)


def requests(data: bytes) -> None:
    """Any body of any dialect is translated for every vendor, or refused."""
    try:
        body = parse(data)
    except BadRequest:
        return
    for dialect in codecs.CODECS:
        for target in _TARGETS:
            try:
                asked = codecs.decode_request(dialect, body)
                orjson.dumps(codecs.UPSTREAMS[target.dialect].encode_request(asked, target))
            except _REFUSED:
                continue


def streams(data: bytes) -> None:
    """Whatever a vendor streams, every client gets one end."""
    whole, pieces = _cut(data)
    for target in _TARGETS:
        for dialect in codecs.CODECS:
            _read(dialect, target, pieces)


def _read(dialect: str, target: Target, pieces: list[bytes]) -> None:
    plain: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    said = {"model": "m", "input": "hi"} if dialect == "openai_responses" else plain
    asked = codecs.decode_request(dialect, said)
    reader = codecs.reader(asked, target, "0a1b")
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.close()
    ends = [event for event in events if isinstance(event, Finish | Failed)]
    assert len(ends) == 1, ends
    encoder = codecs.CODECS[dialect].Encoder(Head(asked, "0a1b", "m", key=_KEY, body=said))
    for event in events:
        encoder.feed(event)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (splitter, unframing, patching, http_answer, requests, streams)
}
