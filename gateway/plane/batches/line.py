"""One request of a batch: an exchange nobody waits at, that goes the way of every request."""

from collections.abc import Mapping
from typing import Any

from gateway.batches.models import Batch
from gateway.plane import pipeline
from gateway.plane.call import Call
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import CHAT, COMPLETIONS, MESSAGES, RESPONSES, Dialect
from gateway.plane.detached import Detached
from gateway.plane.endpoints import serving
from gateway.plane.endpoints.embeddings import EMBEDDINGS
from gateway.plane.exchange import Config
from gateway.plane.upstream import Upstream

MESSAGES_PATH = "/v1/messages"
_DIALECTS: Mapping[str, Dialect] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    MESSAGES_PATH: MESSAGES,
}
_EMBEDDINGS = "/v1/embeddings"
ENDPOINTS = (*(path for path in _DIALECTS if path != MESSAGES_PATH), _EMBEDDINGS)
_HEADERS = ("user-agent", "anthropic-version", "anthropic-beta")
_OF_STREAMS = ("stream", "stream_options", "background")


def headers_of(given: Mapping[bytes, bytes]) -> dict[str, str]:
    """Those that came with a batch and concern its requests."""
    return {n: given[n.encode()].decode("latin-1") for n in _HEADERS if n.encode() in given}


def whole(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request that is answered whole, whenever that is."""
    return {name: value for name, value in body.items() if name not in _OF_STREAMS}


class Line(Detached):
    """`body` has been read already."""

    __slots__ = ("_whole",)

    def __init__(self, batch: Batch, body: bytes, config: Config) -> None:
        headers = [(n.encode(), v.encode("latin-1")) for n, v in batch.headers.items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": batch.endpoint,
            "query_string": b"",
            "client": (batch.address or "", 0),
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
            "extensions": {},
        }
        super().__init__(scope, b"", config._replace(trusted_proxies=0))
        self._body, self._whole = None, body
        self.dialect = _DIALECTS.get(batch.endpoint, CHAT).name

    def whole_body(self) -> bytes:
        return self._whole


async def prepare(http: Line, caller: Caller, upstream: Upstream) -> Call:
    """The request, read and understood. Raises ApiError."""
    path = http.scope["path"]
    if path == _EMBEDDINGS:
        return await serving.prepare(http, EMBEDDINGS, caller, upstream)
    return await pipeline.prepare(http, _DIALECTS[path], caller, upstream)
