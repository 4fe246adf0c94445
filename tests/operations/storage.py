"""As much of S3 as backups and the archive need: put, get (of a part, too), list and delete, with
the signatures it was sent."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

_LIST = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>attic</Name>'
    "<IsTruncated>false</IsTruncated>{}</ListBucketResult>"
)
_ENTRY = (
    "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-11-30T00:00:00.000Z</LastModified>"
    "<ETag>&quot;x&quot;</ETag></Contents>"
)


@dataclass
class Storage:
    """`objects` by path."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    signatures: list[str] = field(default_factory=list)


@pytest.fixture
def storage() -> Iterator[Storage]:
    kept = Storage()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(kept))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.url = f"s3+http://key:secret@127.0.0.1:{server.server_address[1]}/attic/hontoni"
    yield kept
    server.shutdown()
    server.server_close()
    thread.join(5)


def _handler(kept: Storage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.objects[urlsplit(self.path).path] = _plain(body, dict(self.headers.items()))
            self._answer(b"")

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if "list-type" in parse_qs(url.query):
                self._answer(_listing(kept).encode())
            elif url.path in kept.objects:
                self._answer(*_part(kept.objects[url.path], self.headers.get("range", "")))
            else:
                self._answer(b"", 404)

        def do_HEAD(self) -> None:
            found = kept.objects.get(urlsplit(self.path).path)
            self._answer(b"", 404 if found is None else 200, len(found or b""))

        def do_DELETE(self) -> None:
            kept.objects.pop(urlsplit(self.path).path, None)
            self._answer(b"", 204)

        def _answer(self, body: bytes, status: int = 200, length: int | None = None) -> None:
            kept.signatures.append(self.headers.get("authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("ETag", '"x"')
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _part(body: bytes, wanted: str) -> tuple[bytes, int]:
    """What a Range header asks for, and its status."""
    if not wanted:
        return body, 200
    first, last = wanted.removeprefix("bytes=").split("-")
    return body[int(first) : int(last) + 1 if last else None], 206


def _plain(body: bytes, headers: dict[str, str]) -> bytes:
    assert "aws-chunked" not in headers.get("Content-Encoding", "")
    return body


def _listing(kept: Storage) -> str:
    found = (
        _ENTRY.format(path.removeprefix("/attic/"), len(b)) for path, b in kept.objects.items()
    )
    return _LIST.format("".join(found))
