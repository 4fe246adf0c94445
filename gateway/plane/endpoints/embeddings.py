"""/v1/embeddings, and Gemini's embedContent and batchEmbedContents, for every model that embeds.

What is embedded is text, or tokens by their numbers where the vendor takes them. A token has a
byte of text or a digit of its number at least, so the body's bytes bound the bill.
"""

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.catalogue.sold import Model
from gateway.dialects.codecs import wire
from gateway.dialects.codecs.gemini.spelling import canonical
from gateway.dialects.ir import Usage
from gateway.dialects.json_patch import parse, patch
from gateway.plane import gemini_bodies
from gateway.plane.client_dialects import Dialect
from gateway.plane.endpoints.lane import Answered, Job, understood, without_unknown
from gateway.plane.exchange import Exchange
from hontoni.errors import BadRequest, TooLarge, UpstreamFailed

OPENAI, GEMINI = "openai_embeddings", "gemini_embeddings"
_KNOWN = frozenset(("model", "input", "dimensions", "encoding_format", "user"))
_TUNING = ("taskType", "title", "outputDimensionality", "autoTruncate")
_MOST = 2_048  # inputs of a request
# Commas in a body: twice as many as the tokens that a vendor takes at once. To look at millions of
# numbers would keep the event loop from everybody else.
_MOST_COMMAS = 600_000
_MOST_OBJECTS = 10 * _MOST  # a request has three, and more where its text is in parts
_NONSENSE = "The model's provider sent an answer we cannot read."


class Asked(NamedTuple):
    """`inputs` are texts or lists of tokens; `tuning` what Gemini says of each of them."""

    inputs: list[Any]
    dimensions: int | None
    tuning: list[dict[str, Any]]


Writing = Callable[[list[Any], int], bytes]  # vectors (of numbers or base64), and tokens


class _Openai:
    """Its clients speak OpenAI's dialect."""

    dialect = Dialect(OPENAI, ("input",), (), None)
    serves: tuple[str, ...] = (OPENAI, GEMINI)

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        if body.count(b",") > _MOST_COMMAS:
            raise TooLarge("input has more tokens than any model takes at once.", param="input")
        parsed = await understood(body)
        self.dialect.check(parsed)
        return parsed

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        kept, left = without_unknown(parsed, _KNOWN)
        asked = Asked(_inputs(kept["input"]), _dimensions(kept.get("dimensions")), [])
        form = kept.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            wire.refuse("encoding_format", "float or base64")
        size = len(orjson.dumps(kept["input"])) + len(asked.inputs)
        if model.dialect == OPENAI:
            kept |= {"model": model.upstream_id, "user": kept.get("user") or user}
            body = orjson.dumps(kept)
            return Job(
                "/v1/embeddings", body, lambda b, _: _passed(b, name, size), size, left_out=left
            )

        def write(vectors: list[Any], tokens: int) -> bytes:
            packed = [_packed(v) if form == "base64" else v for v in vectors]
            data = [
                {"object": "embedding", "index": at, "embedding": vector}
                for at, vector in enumerate(packed)
            ]
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            return orjson.dumps({"object": "list", "data": data, "model": name, "usage": usage})

        return _ask_gemini(asked, model, write, size, left)


class _Gemini:
    """Its clients speak Google's: one content, or several requests."""

    dialect = Dialect(GEMINI, ("requests",), (), None)
    serves: tuple[str, ...] = (OPENAI, GEMINI)

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        if body.count(b"{") > _MOST_OBJECTS:
            raise TooLarge("requests has more entries than any model takes.", param="requests")
        raw = canonical(await understood(body))
        model, verb = gemini_bodies.asked(http)
        single = verb == "embedContent"
        requests = [raw] if single else wire.objects(raw.get("requests"), "requests")
        if not requests:
            wire.refuse("requests", "must hold at least one request")
        return {"model": model, "requests": requests, "single": single}

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        requests, single = parsed["requests"], parsed["single"]
        texts = [_text(each, f"requests[{at}]") for at, each in enumerate(requests)]
        sizes = {each.get("outputDimensionality") for each in requests}
        if len(sizes) > 1:
            wire.refuse("outputDimensionality", "must be the same in all requests")
        tuning = [{n: each[n] for n in _TUNING if each.get(n) is not None} for each in requests]
        asked = Asked(_limited(texts), _dimensions(sizes.pop()), tuning)

        def write(vectors: list[Any], tokens: int) -> bytes:
            values = [{"values": vector} for vector in vectors]
            usage = {"usageMetadata": {"promptTokenCount": tokens}}
            shaped = {"embedding": values[0]} if single else {"embeddings": values}
            return orjson.dumps({**shaped, **usage})

        size = len(orjson.dumps(requests)) + len(requests)
        if model.dialect == GEMINI:
            return _ask_gemini(asked, model, write, size, ())
        sent = wire.only(model=model.upstream_id, input=texts, dimensions=asked.dimensions)
        body = orjson.dumps(sent | {"encoding_format": "float", "user": user})
        return Job("/v1/embeddings", body, lambda b, _: _read_openai(b, write, size), size)


def _ask_gemini(
    asked: Asked, model: Model, write: Writing, size: int, left: tuple[str, ...]
) -> Job:
    """In one batch, whatever came."""
    if not all(isinstance(each, str) for each in asked.inputs):
        raise BadRequest(
            f"{model.id} takes text, not tokens.", code="unsupported_parameter", param="input"
        )
    named = f"models/{model.upstream_id}"
    tuning = asked.tuning or [
        wire.only(outputDimensionality=asked.dimensions) for _ in asked.inputs
    ]
    requests = [
        {"model": named, "content": {"parts": [{"text": text}]}, **its}
        for text, its in zip(asked.inputs, tuning, strict=True)
    ]
    path = f"/v1beta/{named}:batchEmbedContents"
    body = orjson.dumps({"requests": requests})
    return Job(path, body, lambda b, _: _read_gemini(b, write, size), size, left_out=left)


def _read_gemini(body: bytes, write: Writing, size: int) -> Answered:
    reply = _object(body)
    vectors = [each.get("values") for each in wire.objects(reply.get("embeddings"), "embeddings")]
    told = reply.get("usageMetadata")
    return _answered(vectors, told, "promptTokenCount", write, size)


def _read_openai(body: bytes, write: Writing, size: int) -> Answered:
    reply = _object(body)
    data = sorted(wire.objects(reply.get("data"), "data"), key=lambda each: each.get("index", 0))
    vectors = [each.get("embedding") for each in data]
    return _answered(vectors, reply.get("usage"), "prompt_tokens", write, size)


def _answered(vectors: list[Any], told: Any, name: str, write: Writing, size: int) -> Answered:
    if not vectors or not all(isinstance(vector, list) for vector in vectors):
        raise UpstreamFailed(_NONSENSE)
    tokens, guessed = _tokens(told, name, size)
    return Answered(write(vectors, tokens), Usage(input=tokens), guessed=guessed)


def _passed(body: bytes, name: str, size: int) -> Answered:
    """OpenAI's answer as it came, but for the model's name."""
    reply = _object(body)
    if not isinstance(reply.get("data"), list):
        raise UpstreamFailed(_NONSENSE)
    tokens, guessed = _tokens(reply.get("usage"), "prompt_tokens", size)
    changes: dict[str, Any] = {"model": name}
    if guessed:
        changes["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Answered(patch(body, reply, changes), Usage(input=tokens), guessed=guessed)


def _tokens(told: Any, name: str, size: int) -> tuple[int, bool]:
    """What the vendor counted; where it does not tell, a third of the bytes, and that it is so."""
    counted = told.get(name) if isinstance(told, dict) else None
    if isinstance(counted, int) and counted >= 0 and not isinstance(counted, bool):
        return counted, False
    return size // 3 + 1, True


def _object(body: bytes) -> dict[str, Any]:
    try:
        return parse(body)
    except BadRequest:
        raise UpstreamFailed(_NONSENSE) from None


def _inputs(given: Any) -> list[Any]:
    """A text, several, or tokens by their numbers, of one or of several. Raises BadRequest."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        wire.refuse("input", "must be a text, a list of texts, or tokens")
    if all(_is_token(each) for each in given):
        return [given]
    for at, each in enumerate(given):
        tokens = isinstance(each, list) and each and all(map(_is_token, each))
        if not (tokens or (isinstance(each, str) and each)):
            wire.refuse(f"input[{at}]", "must be a text or a list of tokens, and not empty")
    return _limited(given)


def _limited(inputs: list[Any]) -> list[Any]:
    if len(inputs) > _MOST:
        wire.refuse("input", f"has more than {_MOST} entries")
    return inputs


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _dimensions(given: Any) -> int | None:
    number = wire.integer(given, "dimensions")
    if number is not None and number < 1:
        wire.refuse("dimensions", "must be more than 0")
    return number


def _text(request: dict[str, Any], where: str) -> str:
    content = request.get("content")
    if isinstance(content, str):
        return content
    parts = wire.objects(wire.obj(content, f"{where}.content").get("parts"), f"{where}.content")
    if not parts or not all(isinstance(part.get("text"), str) for part in parts):
        wire.unsupported(f"{where}.content", "only text is embedded here")
    return "\n".join(part["text"] for part in parts)


def _packed(vector: Sequence[float]) -> str:
    """As OpenAI packs them: base64 of 32-bit numbers, little-endian."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


EMBEDDINGS, CONTENTS = _Openai(), _Gemini()
