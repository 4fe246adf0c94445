"""The sandbox as an ASGI application. Start reading here.

A request is recorded, authenticated, linted (`lint/`), understood (`Dialect.read`), planned
(`script.plan`), priced in tokens (`Dialect.tokens`) and rendered (`Dialect.whole`, `.events`).
"""

import re
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.vendors import (
    anthropic,
    chat,
    clouds,
    control,
    endpoints,
    gemini,
    reports,
    responses,
    sse,
)
from sandbox.vendors.clouds.door import Door
from sandbox.vendors.clouds.identities import Identities
from sandbox.vendors.conversation import Sent
from sandbox.vendors.dialect import Dialect, fresh
from sandbox.vendors.faults import Fault
from sandbox.vendors.meter import Bill, Meter, meter
from sandbox.vendors.recorder import Record, hashed, record
from sandbox.vendors.script import Attempts, Turn, plan
from sandbox.vendors.searches import Search, brave, searxng
from sandbox.vendors.usage import PromptCache, total
from sandbox.vendors.vendors import MODELS, VendorError
from sandbox.vendors.wire import EVENT_STREAM, Answer, Frame, Sending, half, said

_RESPONSE_ID = re.compile(rb'"responseId":"([^"]+)"')
ALL_MODELS = frozenset(model for models in MODELS.values() for model in models)


@dataclass(slots=True)
class Sandbox:
    """What one application remembers.

    `pace` is the pause before each word, in seconds. `history` is how many requests are kept.
    """

    strict: bool = True
    keys: Collection[str] | None = None
    models: Collection[str] = ALL_MODELS
    pace: float = 0.015
    history: int = 1000
    requests: list[Record] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    meter: Meter = field(default_factory=Meter)
    cache: PromptCache = field(default_factory=PromptCache)
    attempts: Attempts = field(default_factory=Attempts)
    identities: Identities = field(default_factory=Identities)

    def __post_init__(self) -> None:
        self.identities.keys = self.keys

    def reset(self) -> None:
        """Forget every request, bill, fault, cached prompt and counted attempt."""
        for kept in (
            self.requests,
            self.searches,
            self.meter,
            self.faults,
            self.cache,
            self.attempts,
        ):
            kept.clear()
        self.identities.reset()

    def keep(self, request: Record) -> None:
        self.requests.append(request)
        del self.requests[: max(0, len(self.requests) - self.history)]

    def fault(self, path: str) -> Fault | None:
        """The next fault meant for this path, if any; it happens once."""
        for fault in self.faults:
            if path.endswith(fault.path):
                self.faults.remove(fault)
                return fault
        return None


def make_app(
    strict: bool = True,
    keys: Collection[str] | None = None,
    *,
    models: Collection[str] = ALL_MODELS,
    pace: float = 0.015,
    history: int = 1000,
    controlled: bool = False,
) -> Starlette:
    """A sandbox of its own.

    `strict`: refuse what the vendors refuse; otherwise any model id and any body is answered.
    `keys`: the keys accepted, any if None. `models`: the ids sold. `pace`: seconds before each
    word. `history`: how many requests are kept. `controlled`: serve `control.py` too, which asks
    for no key. `app.state` holds `requests` (a list of `Record`),
    `faults` (a deque of `Fault`), `reset()` and the `sandbox` itself.
    """
    sandbox = Sandbox(strict, keys, models, pace, history, meter=Meter(history))
    routes = [*_routes(sandbox), *reports.routes(sandbox)]
    routes += control.routes(sandbox) if controlled else ()
    app = Starlette(routes=routes)
    app.state.sandbox = sandbox
    app.state.requests = sandbox.requests
    app.state.faults = sandbox.faults
    app.state.reset = sandbox.reset
    return app


def _routes(sandbox: Sandbox) -> Iterable[Route]:
    def post(path: str, endpoint: Any, dialect: Dialect, **options: Any) -> Route:
        return Route(path, partial(endpoint, sandbox, dialect, **options), methods=["POST"])

    yield post("/v1/chat/completions", _generate, chat)
    yield post("/v1/responses", _generate, responses)
    yield post("/v1/responses/compact", _generate, responses)
    yield post("/v1/responses/input_tokens", _count, responses, counted=responses.counted)
    yield post("/v1/messages", _generate, anthropic)
    yield post("/v1/messages/count_tokens", _count, anthropic, counted=anthropic.counted)
    for verb in ("generateContent", "streamGenerateContent"):
        yield post(f"/v1beta/models/{{model}}:{verb}", _generate, gemini)
    yield post("/v1beta/models/{model}:countTokens", _count, gemini, counted=gemini.counted)
    for path, endpoint in endpoints.ENDPOINTS.items():
        yield Route(path, partial(_forward, sandbox, endpoint), methods=["POST"])
    yield Route("/search", partial(searxng, sandbox))
    yield Route("/res/v1/web/search", partial(brave, sandbox))
    yield Route("/v1beta/models", partial(_gemini_models, sandbox))
    yield Route("/v1/models", partial(_models, sandbox))
    yield Route("/v1/models/{model}", partial(_models, sandbox))
    yield from clouds.routes(partial(_at_the_door, sandbox), sandbox.identities)


async def _generate(sandbox: Sandbox, dialect: Dialect, request: Request) -> Response:
    return await _serve(sandbox, dialect, request, partial(_answer, sandbox, dialect))


async def _count(
    sandbox: Sandbox, dialect: Dialect, request: Request, *, counted: Callable[[int], Any]
) -> Response:
    def answer(sent: Sent) -> Answer:
        return _json(counted(total(dialect.read(sent).prompt)))

    return await _serve(sandbox, dialect, request, answer, counting=True)


async def _forward(sandbox: Sandbox, endpoint: endpoints.Endpoint, request: Request) -> Response:
    """What is no conversation: the body may be a form, the answer may be sound."""
    raw = await request.body()

    def answer(sent: Sent) -> Answer:
        made = endpoint(sent, raw)
        frames = [Frame(made.body)]
        return Answer(frames, 200, {"content-type": made.media_type}, work=made.work)

    dialect: Dialect = gemini if request.url.path.startswith("/v1beta") else chat
    return await _serve(sandbox, dialect, request, answer, linted=False)


async def _at_the_door(sandbox: Sandbox, door: Door, request: Request) -> Response:
    def answer(sent: Sent) -> Answer:
        return door.framed(_answer(sandbox, cast(Dialect, door), sent))

    return await _serve(sandbox, cast(Dialect, door), request, answer)


async def _serve(
    sandbox: Sandbox,
    dialect: Dialect,
    request: Request,
    answer: Callable[[Sent], Answer],
    *,
    counting: bool = False,
    linted: bool = True,
) -> Response:
    """Record, refuse or answer, and apply the fault a test may have asked for."""
    kept = await _keep(sandbox, request)
    fault = sandbox.fault(kept.path)
    request_id = fresh("req_")
    try:
        key = _authenticate(sandbox, dialect, request)
        if fault and fault.replaces():
            return _sending(fault.whole(), kept)
        sent = _sent(sandbox, dialect, request, kept, counting, linted)
        reply = answer(sent)
    except VendorError as error:
        kept.refusal = error.message
        reply = _json(dialect.error(error, request_id), error.status)
        if error.status == 429:
            reply = replace(reply, headers={**reply.headers, "retry-after": "1"})
    reply = replace(reply, headers={**dialect.headers(request_id), **reply.headers})
    if reply.work is None:
        return _sending(fault.bend(reply) if fault else reply, kept)
    bill = sandbox.meter.begin(
        reply.work,
        request_id=request_id,
        credential=hashed(key),
        record=kept,
        faulted=fault is not None,
    )
    return _sending(fault.bend(reply) if fault else reply, kept, bill)


async def _keep(sandbox: Sandbox, request: Request) -> Record:
    url, raw = request.url, await request.body()
    kept = record(request.method, url.path, url.query, request.headers.items(), raw)
    sandbox.keep(kept)
    return kept


def _authenticate(sandbox: Sandbox, dialect: Dialect, request: Request) -> str:
    """The key that it was asked with."""
    key = dialect.authenticate(request.headers, request.query_params)
    if isinstance(dialect, Door) and dialect.knows(key):
        return key
    if sandbox.keys is not None and key not in sandbox.keys:
        raise dialect.wrong_key()
    return key


def _sent(
    sandbox: Sandbox,
    dialect: Dialect,
    request: Request,
    kept: Record,
    counting: bool,
    linted: bool,
) -> Sent:
    """The request, if the vendor would take it."""
    body = kept.body
    if body is None and not linted:
        body = kept.body = endpoints.fields(kept.raw, request.headers.get("content-type", ""))
    if not isinstance(body, dict):
        raise VendorError("We could not parse the JSON body of your request.")
    model = request.path_params.get("model") or body.get("model")
    sent = Sent(
        body,
        dict(request.headers),
        model if isinstance(model, str) else "",
        counting,
        request.url.path,
        request.query_params,
    )
    if isinstance(dialect, Door):
        sent = dialect.understood(sent)
        if sandbox.strict:
            dialect.check(sent)
        return sent
    if sandbox.strict:
        if sent.model and sent.model not in sandbox.models:
            raise dialect.unknown_model(sent.model)
        if linted:
            dialect.check(sent)
    return sent


def _answer(sandbox: Sandbox, dialect: Dialect, sent: Sent) -> Answer:
    ask = dialect.read(sent)
    if sandbox.strict:
        dialect.fits(sent, total(ask.prompt))
    turn = plan(ask, sandbox.attempts)
    tokens = dialect.tokens(ask, turn, dialect.cached(sandbox.cache, ask))
    if ask.stream:
        frames = list(dialect.events(sent, ask, turn, tokens))
        work = replace(dialect.work(sent, ask, turn, tokens), ident=_ident(frames))
        whole = said(frames)
        if turn.breaks:
            frames = half(frames)
        if turn.breaks in ("midstream", "failed"):
            frames.append(dialect.broken(sent, turn, frames))
        unseen = not ask.shows or turn.ponder > 0
        return replace(
            _stream(frames, turn, sandbox.pace),
            hidden=0 if ask.shows else len(sse.words(turn.thinking)),
            whole=(0, whole[1]) if unseen else whole,
            work=work,
        )
    if turn.breaks == "midstream":
        raise VendorError("The server failed while it was answering.", status=500)
    reply = _json(dialect.whole(sent, ask, turn, tokens))
    work = replace(dialect.work(sent, ask, turn, tokens), ident=_ident(reply.frames))
    reply = replace(reply, delay=turn.delay, ponder=turn.ponder, work=work)
    if turn.breaks == "cut":
        data = reply.frames[0].data
        return replace(reply, frames=[Frame(data[: len(data) // 2])], dropped=True)
    return reply


def _stream(frames: list[Frame], turn: Turn, pace: float) -> Answer:
    if turn.comments:
        frames = [frame for event in frames for frame in (sse.COMMENT, event)]
    return Answer(
        frames,
        headers={"content-type": EVENT_STREAM, "cache-control": "no-cache"},
        stream=True,
        delay=turn.delay,
        pause=pace,
        slow=turn.slow,
        ponder=turn.ponder,
        dropped=turn.breaks == "cut",
    )


def _json(body: Any, status: int = 200) -> Answer:
    return Answer([Frame(orjson.dumps(body))], status, {"content-type": "application/json"})


def _ident(frames: Sequence[Frame]) -> str:
    """Google names its answers in their bodies only."""
    found = _RESPONSE_ID.search(frames[0].data) if frames else None
    return found[1].decode() if found else ""


def _sending(answer: Answer, kept: Record, bill: Bill | None = None) -> Response:
    kept.status = answer.status

    def ended(sent: int, aborted: bool) -> None:
        kept.sent, kept.aborted, kept.finished_at = sent, aborted, time.monotonic()
        if bill is not None:
            meter.end(bill, sending.progress, left=aborted)

    sending = Sending(answer, ended)
    return sending


async def _models(sandbox: Sandbox, request: Request) -> Response:
    """What is sold, in the shape of the vendor asked."""
    claude = "anthropic-version" in request.headers
    dialect: Dialect = anthropic if claude else chat
    entry = _claude_entry if claude else _gpt_entry
    wanted = request.path_params.get("model")
    try:
        _authenticate(sandbox, dialect, request)
        sold = {m: entry(m) for m in MODELS[dialect.VENDOR] if m in sandbox.models}
        if wanted and wanted not in sold:
            raise dialect.unknown_model(wanted)
    except VendorError as error:
        return JSONResponse(dialect.error(error, fresh("req_")), error.status)
    if wanted:
        return JSONResponse(sold[wanted])
    return JSONResponse({"object": "list", "data": list(sold.values()), "has_more": False})


async def _gemini_models(sandbox: Sandbox, request: Request) -> Response:
    try:
        _authenticate(sandbox, gemini, request)
    except VendorError as error:
        return JSONResponse(gemini.error(error, ""), error.status)
    sold = [model for model in MODELS["google"] if model in sandbox.models]
    return JSONResponse({"models": [{"name": f"models/{model}"} for model in sold]})


def _claude_entry(model: str) -> dict[str, Any]:
    made = "2026-01-01T00:00:00Z"
    return {"id": model, "type": "model", "display_name": model, "created_at": made}


def _gpt_entry(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 1767225600, "owned_by": "system"}


app = make_app(history=0)
