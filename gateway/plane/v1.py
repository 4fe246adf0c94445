"""/v1: the paid traffic, on Starlette, ahead of Django.

Clients given a base URL that ends in /v1 may append /v1/messages (the Anthropic SDKs and Claude
Code do), so every route also answers under /v1/v1. HEAD and OPTIONS need no key.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from weakref import ref

import orjson
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.catalogue import codex_models, model_list, snapshot
from gateway.plane import (
    admission,
    background,
    compaction_door,
    counting,
    drains,
    gemini_bodies,
    gemini_door,
    health,
    inbound,
    kept_responses,
    key_doors,
    large,
    pipeline,
    probing,
    response_doors,
    socket_door,
    sockets,
    stores,
    tracing,
)
from gateway.plane.batches import batch_doors, file_doors, message_doors, runner
from gateway.plane.client_dialects import (
    CHAT,
    COMPLETIONS,
    GEMINI,
    MESSAGES,
    RESPONSES,
    Dialect,
)
from gateway.plane.endpoints import (
    embeddings,
    images,
    moderations,
    serving,
    speech,
    transcriptions,
)
from gateway.plane.exchange import Config, Exchange
from gateway.plane.upstream import Upstream, connect
from gateway.plane.watching import ClientGone
from gateway.usage import refusals
from hontoni import logs, redis
from hontoni.db import in_thread
from hontoni.errors import ApiError, NotFound

logger = logging.getLogger(__name__)

_PREFLIGHT = (
    b"access-control-allow-methods: GET, POST, DELETE, HEAD, OPTIONS\r\n"
    b"access-control-allow-headers: *, authorization, x-api-key, content-type\r\n"
    b"access-control-max-age: 86400\r\n"
)

Handler = Callable[[Exchange, Upstream], Awaitable[None]]


async def _models(http: Exchange, upstream: Upstream) -> None:
    caller = await admission.enter(http)
    found = (await snapshot.current()).listed.values()
    allowed = [model for model in found if not caller.models or model.id in caller.models]
    offered = [model for model in allowed if upstream.serves(model, caller)]
    query = http.query()
    page = model_list.page(offered, query, anthropic=_is_anthropic(http))
    if "client_version" in query:  # Codex
        page["models"] = codex_models.manifest(offered)
    await _unless_known(http, orjson.dumps(page))


async def _unless_known(http: Exchange, body: bytes) -> None:
    """An answer with an ETag; 304 to who has it already."""
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    line = b"etag: %b\r\n" % tag.encode()
    known = [each.strip().removeprefix("W/") for each in http.header(b"if-none-match").split(",")]
    if tag in known or "*" in known:
        await http.respond(304, b"", line)
    else:
        await http.respond(200, body, line)


async def _model(http: Exchange, upstream: Upstream) -> None:
    caller = await admission.enter(http)
    name = http.scope["path_params"]["id"]
    model, variant, listed = await snapshot.found(lambda n: (*n.resolve(name), n.listed))
    needed = inbound.permission(model, variant, caller)
    if problem := caller.forbidden(http.client_ip(), needed):
        raise problem
    if variant.instead_of is not None:
        model = listed[variant.instead_of.id]
    http.extra += model.life.headers
    await http.respond_json(model_list.shape(model, anthropic=_is_anthropic(http)))


def _is_anthropic(http: Exchange) -> bool:
    return b"anthropic-version" in http.headers


def _paid(dialect: Dialect) -> Handler:
    return lambda http, upstream: pipeline.serve(http, dialect, upstream)


async def _responses(http: Exchange, upstream: Upstream) -> None:
    """As any paid request, unless its client does not wait for the answer."""
    try:
        await pipeline.serve(http, RESPONSES, upstream)
    except kept_responses.Detach as requested:
        await background.start(http, upstream, requested)


async def _hello(http: Exchange, upstream: Upstream) -> None:
    """Agents ask HEAD /api/hello before anything else; any answer will do."""
    await http.respond_json({"status": "ok"})


_HANDLERS: tuple[tuple[str, str, Handler], ...] = (
    ("/v1/chat/completions", "POST", _paid(CHAT)),
    ("/v1/completions", "POST", _paid(COMPLETIONS)),
    ("/v1/messages", "POST", _paid(MESSAGES)),
    ("/v1/responses", "POST", _responses),
    ("/v1/responses/compact", "POST", compaction_door.compact),
    ("/v1/responses/input_tokens", "POST", counting.input_tokens),
    ("/v1/responses/{id}", "GET", response_doors.retrieve),
    ("/v1/responses/{id}", "DELETE", response_doors.delete),
    ("/v1/responses/{id}/input_items", "GET", response_doors.input_items),
    ("/v1/responses/{id}/cancel", "POST", response_doors.cancel),
    ("/v1/messages/count_tokens", "POST", counting.count_tokens),
    ("/v1/files", "POST", file_doors.upload),
    ("/v1/files", "GET", file_doors.listing),
    ("/v1/files/{id}", "GET", file_doors.retrieve),
    ("/v1/files/{id}", "DELETE", file_doors.delete),
    ("/v1/files/{id}/content", "GET", file_doors.content),
    ("/v1/batches", "POST", batch_doors.create),
    ("/v1/batches", "GET", batch_doors.listing),
    ("/v1/batches/{id}", "GET", batch_doors.retrieve),
    ("/v1/batches/{id}/cancel", "POST", batch_doors.cancel),
    ("/v1/messages/batches", "POST", message_doors.create),
    ("/v1/messages/batches", "GET", message_doors.listing),
    ("/v1/messages/batches/{id}", "GET", message_doors.retrieve),
    ("/v1/messages/batches/{id}", "DELETE", message_doors.delete),
    ("/v1/messages/batches/{id}/results", "GET", message_doors.read_results),
    ("/v1/messages/batches/{id}/cancel", "POST", message_doors.cancel),
    ("/v1/embeddings", "POST", serving.paid(embeddings.EMBEDDINGS)),
    ("/v1/moderations", "POST", serving.paid(moderations.MODERATIONS)),
    ("/v1/images/generations", "POST", serving.paid(images.IMAGES)),
    ("/v1/audio/transcriptions", "POST", serving.paid(transcriptions.TRANSCRIPTIONS)),
    ("/v1/audio/speech", "POST", serving.paid(speech.SPEECH)),
    ("/v1/estimate", "POST", counting.estimate),
    ("/v1/key", "GET", key_doors.key),
    ("/v1/usage", "GET", key_doors.usage),
    ("/v1/models", "GET", _models),
    ("/v1/models/{id:path}", "GET", _model),
    ("/v1beta/models", "GET", gemini_door.models),
    ("/v1beta/models/{id:path}", "GET", gemini_door.model),
    ("/v1beta/models/{id:path}", "POST", gemini_door.ask),
    ("/v1/api/hello", "GET", _hello),
    ("/v1", "GET", _hello),
)


class _Endpoint:
    """An ASGI endpoint: HEAD and OPTIONS without a key, every error in our envelope."""

    def __init__(self, plane: "V1", handlers: dict[str, Handler]) -> None:
        self.plane, self.handlers = plane, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Exchange(scope, receive, send, self.plane.config)
        logs.about.set(ref(http))
        if scope["path"].startswith(gemini_bodies.ROOT):
            http.dialect = GEMINI.name
        method = scope["method"]
        try:
            if (handler := self.handlers.get(method)) is not None:
                assert self.plane.upstream is not None, "V1.start() was not awaited"
                await handler(http, self.plane.upstream)
            elif method == "HEAD":
                await http.respond(200, b"")
            elif method == "OPTIONS":
                await http.respond(204, b"", _PREFLIGHT)
            elif b"upgrade" in http.headers:
                raise _UpgradeRefused("There is no WebSocket here, but at /v1/responses.")
            else:
                allowed = ", ".join(self.handlers)
                raise _NotAllowed(f"Use {allowed} here.", headers={"Allow": allowed})
        except ApiError as error:
            await pipeline.refuse(http, error)
        except ClientGone:
            return
        except Exception:
            logger.exception("request.failed %s", http.request_id)
            if not http.started:
                await http.fail(ApiError("Something went wrong on our side."))
        finally:
            if http.held is not None:
                http.held.free()


class _NotAllowed(ApiError):
    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class _UpgradeRefused(ApiError):
    """An agent that tries a WebSocket first falls back to POST at once (protocols.md 5.2)."""

    status, type, code = 426, "invalid_request_error", "upgrade_not_supported"


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """426 where the server can still say so; it says 403 for a socket that is closed unopened."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [
        (b"content-length", b"0"),
        (b"upgrade", b"HTTP/1.1"),
        (b"connection", b"upgrade, close"),
    ]
    await send({"type": "websocket.http.response.start", "status": 426, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


class V1:
    """The data plane's application. `start` before the first request, `stop` after the last."""

    def __init__(self) -> None:
        self.upstream: Upstream | None = None
        self.health: health.Sharing | None = None
        self.batches: runner.Runner | None = None
        self.config = Config.read()
        handlers: dict[str, dict[str, Handler]] = {}
        for path, method, run in _HANDLERS:
            handlers.setdefault(path, {})[method] = run
        endpoints = {path: _Endpoint(self, those) for path, those in handlers.items()}
        self.exact: dict[str, ASGIApp] = {p: e for p, e in endpoints.items() if "{" not in p}
        self.router = Router(
            [Route(path, endpoint) for path, endpoint in endpoints.items()],
            redirect_slashes=False,
            default=self._unknown,
        )
        self._working: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self.config = Config.read()
        tracing.start()
        self.upstream = await connect()
        # A full collection of a loaded Django stops the loop for 30 ms; what is here now stays.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 100)
        await stores.start()
        self.health = health.Sharing(self.upstream)
        self.batches = runner.Runner(self.upstream, self.config)
        work = (
            admission.beat_for_ever(),
            refusals.flush_for_ever(),
            stores.watch_for_ever(),
            sockets.look_for_ever(),
            self.health.for_ever(),
            self.batches.for_ever(),
            probing.Prober(self.upstream).for_ever(),
        )
        self._working = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        if self.batches is not None:
            await self.batches.stop()
        await drains.stop()
        await background.stop()
        for task in self._working:
            task.cancel()
        await stores.stop()
        with suppress(redis.RedisError):
            await refusals.flush()
        if self.upstream is not None:
            await self.upstream.close()
        await in_thread(large.stop)
        await redis.close()
        await in_thread(tracing.stop)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """A path without parameters needs no pattern: nearly always."""
        found = self.exact.get(scope["path"])
        if found is None or scope["type"] == "websocket" or gemini_bodies.is_ours(scope):
            return self._routed(scope, receive, send)
        return found(scope, receive, send)

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if gemini_bodies.is_ours(scope):
            scope = gemini_bodies.entered(scope)
            path = scope["path"]
        elif path.startswith("/v1/v1"):
            path = path[3:]
            scope = {**scope, "path": path}
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        await self.exact.get(path, self.router)(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/v1/responses":
            await _refuse_socket(scope, receive, send)
            return
        assert self.upstream is not None, "V1.start() was not awaited"
        await socket_door.open_socket(scope, receive, send, self.config, self.upstream)

    async def _unknown(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Exchange(scope, receive, send, self.config)
        if scope["path"].startswith(gemini_bodies.ROOT):
            http.dialect = GEMINI.name
        if scope["method"] in ("HEAD", "OPTIONS"):
            await http.respond(204, b"", _PREFLIGHT)
            return
        missing = NotFound(f"There is no {scope['method']} {scope['path'][:200]} here.")
        await pipeline.refuse(http, missing)
