"""What Gemini's own API says in its paths, its query and its bodies, as /v1 has it.

Google has the model and the verb in the path, and the key in a header of its own or in the query.
Behind the door a body is as the others are: `model` and `stream` are members, spelled once
(`codecs/gemini/spelling.py`), and the output limit and the stop sequences stand where whoever
bounds a request looks for them.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.types import Scope

from gateway.dialects.codecs.gemini.encoder import ARRAY
from gateway.dialects.codecs.gemini.spelling import canonical
from gateway.dialects.json_patch import parse
from gateway.plane import large, members
from gateway.plane.exchange import JSON_STREAM, Exchange
from hontoni.errors import BadRequest, NotFound

ROOT = "/v1beta"
_ALIASES = ("/v1/v1beta", "/v1alpha")  # a base URL that ends in /v1, and the SDKs' newest version
_ROOTS = tuple(f"{root}/" for root in (ROOT, *_ALIASES))
# Where whoever bounds a request looks for what `generationConfig` has.
_LIFTED = (("maxOutputTokens", "maxOutputTokens"), ("stop_sequences", "stopSequences"))


def entered(scope: Scope) -> Scope:
    """The request as /v1 has them: the key in our header and in no query, the path at its root."""
    path = scope["path"]
    for alias in _ALIASES:
        if path.startswith(f"{alias}/"):
            path = ROOT + path[len(alias) :]
    if path.startswith("/v1/models"):  # Google's first version
        path = ROOT + path[len("/v1") :]
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    sent = dict(scope["headers"])
    key = sent.get(b"x-goog-api-key") or next((v.encode() for k, v in pairs if k == "key"), b"")
    headers = list(scope["headers"])
    if key and b"authorization" not in sent:
        headers.append((b"x-api-key", key))
    query = urlencode([pair for pair in pairs if pair[0] != "key"]).encode()
    return {**scope, "path": path, "headers": headers, "query_string": query}


def is_ours(scope: Scope) -> bool:
    """Whether it is for this door: of what is in /v1 too, what has Google's key or a verb behind a
    model's name."""
    path: str = scope["path"]
    if not path.startswith("/v1/models"):
        return path.startswith(_ROOTS)
    verb = scope["method"] == "POST" and ":" in path
    return verb or any(name == b"x-goog-api-key" for name, _ in scope["headers"])


def asked(http: Exchange) -> tuple[str, str]:
    """The model and the verb of a path. Raises NotFound."""
    name, _, verb = http.scope["path_params"]["id"].rpartition(":")
    if not name:
        raise NotFound("There is a verb behind a model's name, as in gpt-5.4:generateContent.")
    return name.removeprefix("models/"), verb


async def prepare(http: Exchange, body: bytes) -> tuple[bytes, dict[str, Any]]:
    """The body, and its members, as everything behind the door reads them. Raises BadRequest."""
    model, verb = asked(http)
    streams: bool | str = verb == "streamGenerateContent"
    if streams and http.query().get("alt") != "sse":
        streams, http.stream_head = ARRAY, JSON_STREAM
    if not large.is_large(body):
        return respelled(body, model, streams)
    return await asyncio.to_thread(respelled, body, model, streams)


def respelled(
    body: bytes, model: str = "", streams: bool | str = False
) -> tuple[bytes, dict[str, Any]]:
    """The same of a body that names its model itself, if none is given."""
    raw = parse(body or b"{}")
    members.agree(body or b"{}", raw)
    raw = canonical(raw)
    if wrapped := raw.get("generateContentRequest"):
        if not isinstance(wrapped, dict):
            raise BadRequest("generateContentRequest must be an object.")
        raw = wrapped
    named = model or str(raw.get("model") or "").removeprefix("models/")
    parsed = {**raw, "model": named, "stream": streams}
    config = raw.get("generationConfig")
    if isinstance(config, dict):
        parsed |= {member: config[name] for member, name in _LIFTED if config.get(name)}
    return orjson.dumps(parsed), parsed
