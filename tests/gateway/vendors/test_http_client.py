"""HTTP/1.1 to the vendors, against servers that say exactly what the test says, byte by byte."""

import asyncio
import datetime
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.vendors import http_client
from gateway.vendors.http_client import Client, Origin
from gateway.vendors.reply import Reply
from hontoni.errors import UpstreamFailed, UpstreamTimeout
from tests.waiting import ENOUGH, until_within

HEAD = b"POST /v1/messages HTTP/1.1\r\nhost: vendor\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"x-request-id: abc\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
# uvicorn runs us on uvloop, and its transports are other ones.
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ZIPPED = gzip.compress(b"hello", mtime=0)


class Server:
    """Answers every request with the next script: what to write, piece by piece, and whether to
    close then. `requests` are what it was sent."""

    def __init__(self) -> None:
        self.scripts: list[tuple[list[bytes], bool]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self.writer: asyncio.StreamWriter | None = None
        self.origin = Origin("127.0.0.1", 0, False)

    def says(self, *pieces: bytes, close: bool = False) -> None:
        self.scripts.append((list(pieces), close))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.requests.append(head + await reader.readexactly(length))
        self.asked.set()
        pieces, close = self.scripts.pop(0)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return not close


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    script = Server()
    listening = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.origin = Origin("127.0.0.1", listening.sockets[0].getsockname()[1], False)
    async with listening:
        yield script


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    mine = Client(connect_seconds=5, silence_seconds=5)
    yield mine
    await mine.close()


Post = Callable[[], Awaitable[Reply]]


@pytest.fixture
def post(client: Client, server: Server) -> Post:
    return lambda: client.post(server.origin, HEAD, b'{"a":1}')


async def test_a_connection_is_used_again(server: Server, post: Post) -> None:
    for _ in range(3):
        server.says(WHOLE)
        with closing(await post()) as reply:
            assert (reply.status, reply.request_id, await reply.read()) == (200, "abc", b"hello")
    assert server.connections == 1
    assert server.requests[0] == HEAD + b'content-length: 7\r\n\r\n{"a":1}'


async def test_requests_at_once_have_connections_of_their_own(server: Server, post: Post) -> None:
    for _ in range(4):
        server.says(WHOLE)
    replies = await asyncio.gather(*(post() for _ in range(4)))
    assert [await reply.read() for reply in replies] == [b"hello"] * 4
    assert server.connections == 4


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
async def test_an_answer_may_be_cut_anywhere(server: Server, post: Post, cut: int) -> None:
    server.says(*(CHUNKED[i : i + cut] for i in range(0, len(CHUNKED), cut)))
    reply = await post()
    assert await reply.read() == b"hello world"
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 1


async def test_what_comes_before_the_answer_is_not_the_answer(server: Server, post: Post) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    server.says(b"HTTP/1.1 100 Continue\r\n\r\n", hints, WHOLE)
    reply = await post()
    assert (reply.status, reply.headers.get(b"link")) == (200, None)
    assert await reply.read() == b"hello"


async def test_an_answer_without_a_length_ends_with_its_connection(
    server: Server, post: Post
) -> None:
    server.says(OK + b"\r\nhel", b"lo", close=True)
    assert await (await post()).read() == b"hello"
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize(
    "broken", [WHOLE[:-1], CHUNKED[:-5], CHUNKED[:-12]], ids=["length", "last", "chunk"]
)
async def test_an_answer_that_breaks_off_is_told_from_a_whole_one(
    server: Server, post: Post, broken: bytes
) -> None:
    server.says(broken, close=True)
    reply = await post()
    assert (await reply.chunk()).startswith(b"hell")
    with pytest.raises(UpstreamFailed, match="broke"):
        await reply.read()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"x: " + b"y" * 140_000 + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"",
    ],
    ids=["ssh", "two lengths", "length and chunks", "huge header", "upgrade", "nothing"],
)
async def test_what_is_no_answer_is_refused(server: Server, post: Post, nonsense: bytes) -> None:
    server.says(nonsense, close=True)
    with pytest.raises(UpstreamFailed) as told:
        await (await post()).read()
    assert "127.0.0.1" not in str(told.value)


@pytest.mark.parametrize(
    "begun",
    [OK, CHUNKED[:-2], OK + b"Transfer-Encoding: chunked\r\n\r\n5;"],
    ids=["headers", "trailers", "extensions"],
)
async def test_what_is_no_body_has_bounds(server: Server, post: Post, begun: bytes) -> None:
    server.says(begun, *(b"x-%d: %b\r\n" % (n, b"y" * 900) for n in range(400)))
    with pytest.raises(UpstreamFailed, match="cannot read"):
        await (await post()).read()


async def test_a_large_answer_that_comes_with_its_head_is_no_large_head(
    server: Server, post: Post
) -> None:
    body = b"y" * 200_000
    server.says(OK + b"x-a: b\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    reply = await post()
    assert (await reply.read(), reply.header(b"x-a")) == (body, "b")


async def test_what_follows_the_body_changes_nothing_before_it(server: Server, post: Post) -> None:
    server.says(CHUNKED[:-2] + b"x-request-id: forged\r\ntransfer-encoding: x\r\n\r\n")
    reply = await post()
    assert await reply.read() == b"hello world"
    assert (reply.request_id, reply.header(b"transfer-encoding")) == ("", "chunked")
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"


async def test_what_is_compressed_unasked_is_read_all_the_same(server: Server, post: Post) -> None:
    head = OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(ZIPPED)
    server.says(head, ZIPPED[:7], ZIPPED[7:])
    assert await (await post()).read() == b"hello"


@pytest.mark.parametrize(
    "body",
    [b"not gzip at all", gzip.compress(bytes(2**27)), ZIPPED[:-9], ZIPPED[:3]],
    ids=["plain", "bomb", "cut", "cut at once"],
)
async def test_what_cannot_be_decompressed_is_refused(
    server: Server, post: Post, body: bytes
) -> None:
    server.says(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body), body)
    with pytest.raises(UpstreamFailed, match="cannot read"):
        await (await post()).read()


async def test_a_vendor_has_to_wait_for_a_slow_reader(server: Server, post: Post) -> None:
    size = 32 * 2**20
    server.says(OK + b"content-length: %d\r\n\r\n" % size, bytes(size))
    reply = await post()
    await asyncio.sleep(0.2)
    assert server.writer is not None
    assert server.writer.transport.get_write_buffer_size() > 2**20
    assert len(await reply.read()) == size
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 1


async def test_silence_is_told_from_slowness(server: Server) -> None:
    impatient = Client(connect_seconds=5, silence_seconds=0.2)
    server.says(OK + b"content-length: %d\r\n\r\n" % 2**22, bytes(2**22))
    slow = await impatient.post(server.origin, HEAD, b"")
    await asyncio.sleep(0.5)  # it is we who do not read
    assert len(await slow.read()) == 2**22
    server.says(WHOLE[:-1])
    reply = await impatient.post(server.origin, HEAD, b"")
    with pytest.raises(UpstreamTimeout):
        await reply.read()
    await asyncio.wait_for(server.left.wait(), ENOUGH)
    await impatient.close()


async def test_an_answer_before_the_question_was_heard_is_the_last_on_its_connection(
    client: Client, server: Server
) -> None:
    async def too_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await told.wait()
        writer.transport.abort()
        left.release()

    told, left = asyncio.Event(), asyncio.Semaphore(0)
    async with await asyncio.start_server(too_much, "127.0.0.1", 0) as listening:
        origin = Origin("127.0.0.1", listening.sockets[0].getsockname()[1], False)
        for _ in range(2):
            reply = await client.post(origin, HEAD, bytes(2**25))
            assert (reply.status, await reply.read()) == (413, b"")
        assert server.connections == 2
        told.set()
        for _ in range(2):
            await left.acquire()


async def test_who_leaves_while_waiting_leaves_no_connection_behind(
    client: Client, server: Server
) -> None:
    server.says(b"")
    waiting = asyncio.create_task(client.post(server.origin, HEAD, b""))
    await server.asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(server.left.wait(), ENOUGH)
    for step in range(12):  # cancelled at every step of connecting
        server.says(b"")
        connecting = asyncio.create_task(client.post(server.origin, HEAD, b""))
        for _ in range(step):
            await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    await until_within(lambda: not client._open and not any(client._idle.values()))


async def test_a_connection_that_ends_as_it_begins_is_a_failure_at_once(client: Client) -> None:
    """Whenever the vendor's reset is noticed: before we are told of the connection, or after."""
    loop, line = asyncio.get_running_loop(), socket.socket()
    line.bind(("127.0.0.1", 0))
    line.listen()
    line.setblocking(False)
    origin = Origin("127.0.0.1", line.getsockname()[1], False)
    with line:
        for _ in range(20):
            asking = asyncio.create_task(client.post(origin, HEAD, b""))
            accepted, _ = await loop.sock_accept(line)
            linger = struct.pack("ii", 1, 0)  # a reset, not an end
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            accepted.close()
            with pytest.raises(UpstreamFailed, match="broke"):
                await asyncio.wait_for(asking, ENOUGH)
    assert not client._open


async def test_a_connection_lost_before_we_were_told_of_it_is_a_failure_at_once(
    client: Client, server: Server, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def lost(*args: Any, **kwargs: Any) -> Any:
        transport, protocol = await connect(*args, **kwargs)
        transport.abort()
        await asyncio.sleep(0.01)
        return transport, protocol

    monkeypatch.setattr(loop, "create_connection", lost)
    with pytest.raises(UpstreamFailed, match="broke"):
        await asyncio.wait_for(post(), ENOUGH)
    assert not client._open and not server.requests


async def test_an_answer_without_end_is_given_up(
    client: Client, server: Server, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.vendors.reply._MOST_WHOLE", 2**20)
    server.says(OK + b"\r\n" + bytes(2**21))
    with closing(await post()) as reply, pytest.raises(UpstreamFailed, match="cannot read"):
        await reply.read()
    await asyncio.wait_for(server.left.wait(), ENOUGH)
    assert not client._open


async def test_an_answer_cut_off_by_our_own_end_is_not_whole(
    client: Client, server: Server, post: Post
) -> None:
    server.says(OK + b"\r\nhel")
    reply = await post()
    assert await reply.chunk() == b"hel"
    await client.close()
    with pytest.raises(UpstreamFailed, match="broke"):
        await reply.read()


async def test_leaving_an_answer_closes_its_connection(server: Server, post: Post) -> None:
    server.says(CHUNKED[:57])
    with closing(await post()) as reply:
        assert await reply.chunk() == b"hello"
    await asyncio.wait_for(server.left.wait(), ENOUGH)
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 2


async def test_a_connection_that_speaks_unasked_is_not_used_again(
    server: Server, post: Post
) -> None:
    server.says(WHOLE + WHOLE)
    assert await (await post()).read() == b"hello"
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 2


async def test_a_connection_the_vendor_closed_is_not_used_again(
    client: Client, server: Server, post: Post
) -> None:
    server.says(WHOLE, close=True)
    assert await (await post()).read() == b"hello"
    await until_within(lambda: not client._open)
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 2


async def test_an_idle_connection_is_closed_in_the_end(
    server: Server, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "IDLE_SECONDS", 0.1)
    server.says(WHOLE)
    await (await post()).read()
    await asyncio.wait_for(server.left.wait(), ENOUGH)


async def test_nobody_there_is_a_failure_that_names_nobody(client: Client) -> None:
    with pytest.raises(UpstreamFailed, match="^The connection to the model's provider broke"):
        await client.post(Origin("127.0.0.1", 1, False), HEAD, b"")


async def test_a_certificate_nobody_vouches_for_is_refused(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusting = _certified(tmp_path)
    script = Server()
    listening = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=context)
    origin = Origin("localhost", listening.sockets[0].getsockname()[1], True)
    async with listening:
        with pytest.raises(UpstreamFailed, match="broke"):
            await client.post(origin, HEAD, b"")
        monkeypatch.setattr(http_client, "_tls", lambda: trusting)
        script.says(WHOLE)
        assert await (await client.post(origin, HEAD, b"")).read() == b"hello"
        big = 4 * 2**20
        script.says(OK + b"content-length: %d\r\n\r\n" % big, bytes(big))
        reply = await client.post(origin, HEAD, bytes(2**20))
        await asyncio.sleep(0.1)  # paused meanwhile
        assert len(await reply.read()) == big
        script.says(WHOLE[:-1], close=True)
        with pytest.raises(UpstreamFailed, match="broke"):
            await (await client.post(origin, HEAD, b"")).read()
        assert script.connections == 1
        await client.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_who_hangs_up_still_hears_what_was_under_way(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    context, trusting = _certified(tmp_path)
    monkeypatch.setattr(http_client, "_tls", lambda: trusting)
    left, heard = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = Origin("localhost", listening.getsockname()[1], tls)
        given = listening, context if tls else None, left, heard
        speaking = asyncio.create_task(asyncio.to_thread(_slow_to_notice, *given))
        reply = await client.post(origin, HEAD, b"")
        assert await reply.chunk() == b"hello"
        reply.hang_up()
        left.set()
        assert await reply.chunk() == b" world"
        heard.set()
        with pytest.raises(UpstreamFailed):  # for it never said that this was all
            await reply.chunk()
        assert await speaking == b""
    assert not client._idle[origin]


def _slow_to_notice(
    listening: socket.socket,
    context: ssl.SSLContext | None,
    left: threading.Event,
    heard: threading.Event,
) -> bytes:
    """A server that says more before it looks whether its client has left; and what it saw."""
    plain, _ = listening.accept()
    with context.wrap_socket(plain, server_side=True) if context else plain as line:
        line.recv(65_536)
        line.sendall(OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        left.wait(5)
        line.sendall(b"6\r\n world\r\n")
        heard.wait(5)
        return line.recv(65_536)


async def test_a_whole_answer_is_not_the_last_on_its_connection_unless_it_was_left(
    server: Server, post: Post
) -> None:
    server.says(WHOLE)
    reply = await post()
    await reply.read()
    reply.hang_up()  # too late to be rude
    server.says(WHOLE)
    assert await (await post()).read() == b"hello"
    assert server.connections == 1


def _certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server called localhost, and a client that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, ssl.create_default_context(cafile=path)
