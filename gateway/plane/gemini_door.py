"""/v1beta: Gemini's own API, so that Google's SDKs and gemini-cli use any model. What a path and
a body of Google's say is read in gemini_bodies.py."""

from typing import Any

from gateway.catalogue import snapshot
from gateway.catalogue.sold import Model
from gateway.plane import admission, counting, gemini_bodies, inbound, pipeline
from gateway.plane.client_dialects import GEMINI
from gateway.plane.endpoints import embeddings, serving
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from hontoni import digits
from hontoni.errors import BadRequest, NotFound

_PAGE, _MOST = 50, 1000


async def ask(http: Exchange, upstream: Upstream) -> None:
    """POST /v1beta/models/{model}:{verb}. Raises ApiError."""
    verb = gemini_bodies.asked(http)[1]
    if verb in ("generateContent", "streamGenerateContent"):
        await pipeline.serve(http, GEMINI, upstream)
    elif verb == "countTokens":
        await counting.count_contents(http, upstream)
    elif verb in ("embedContent", "batchEmbedContents"):
        await serving.serve(http, embeddings.CONTENTS, upstream)
    else:
        raise NotFound(f"There is no {verb[:60]!r} here.")


async def models(http: Exchange, upstream: Upstream) -> None:
    """GET /v1beta/models, by pages. Raises ApiError."""
    caller = await admission.enter(http)
    found = (await snapshot.current()).listed.values()
    offered = [
        model
        for model in found
        if (not caller.models or model.id in caller.models) and upstream.serves(model, caller)
    ]
    start, size = _page(http.query())
    page = {"models": [shape(model) for model in offered[start : start + size]]}
    more = {"nextPageToken": str(start + size)} if start + size < len(offered) else {}
    await http.respond_json({**page, **more})


async def model(http: Exchange, upstream: Upstream) -> None:
    """GET /v1beta/models/{model}. Raises ApiError."""
    caller = await admission.enter(http)
    name = http.scope["path_params"]["id"]
    found, variant, listed = await snapshot.found(lambda n: (*n.resolve(name), n.listed))
    needed = inbound.permission(found, variant, caller)
    if problem := caller.forbidden(http.client_ip(), needed):
        raise problem
    if variant.instead_of is not None:
        found = listed[variant.instead_of.id]
    http.extra += found.life.headers
    await http.respond_json(shape(found))


def _page(query: dict[str, str]) -> tuple[int, int]:
    """Where it begins, and how many models it has. Raises BadRequest."""
    start = digits.whole(query.get("pageToken") or "0")
    size = digits.whole(query.get("pageSize") or str(_PAGE))
    if start is None or not size:
        raise BadRequest("pageSize is a number, and pageToken what the page before gave.")
    return start, min(size, _MOST)


def shape(model: Model) -> dict[str, Any]:
    """A model as Google lists them."""
    return {
        "name": f"models/{model.id}",
        "version": model.id,
        "displayName": model.name,
        "description": f"{model.name}, {model.vendor}",
        "inputTokenLimit": model.context_window,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": _verbs(model),
        "thinking": "reasoning" in model.capabilities,
    }


def _verbs(model: Model) -> list[str]:
    if model.chats:
        return ["generateContent", "countTokens"]
    embeds = model.dialect in embeddings.CONTENTS.serves
    return ["embedContent", "batchEmbedContents"] if embeds else []
