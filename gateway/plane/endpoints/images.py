"""/v1/images/generations: pictures, billed by tokens or by the picture, as their vendor does.

A picture's tokens are set by its size and quality: what nobody chose may be the dearest.
"""

from typing import Any

import orjson

from gateway.catalogue.sold import Model
from gateway.dialects.codecs import wire
from gateway.dialects.codecs.tokens import count
from gateway.dialects.ir import Tally, Usage
from gateway.dialects.json_patch import parse
from gateway.plane.client_dialects import Dialect, positive
from gateway.plane.endpoints.lane import Answered, Job, understood, without_unknown
from gateway.plane.exchange import Exchange
from hontoni.errors import BadRequest, UpstreamFailed

NAME = "openai_images"
_USUAL = "gpt-image-1"
_KNOWN = frozenset(
    (
        *("model", "prompt", "n", "size", "quality", "background", "moderation", "user"),
        *("output_format", "output_compression", "response_format", "style"),
    )
)
_MOST = 10  # pictures of a request
# Tokens of one picture at most (the vendor's page on images), by quality and by size.
_SQUARE, _TALL, _WIDE = "1024x1024", "1024x1536", "1536x1024"
_TOKENS = {
    "low": {_SQUARE: 272, _TALL: 408, _WIDE: 400},
    "medium": {_SQUARE: 1_056, _TALL: 1_584, _WIDE: 1_568},
    "high": {_SQUARE: 4_160, _TALL: 6_240, _WIDE: 6_208},
}
_DEAREST = 6_240
_OVERHEAD_TOKENS = 64  # of the vendor's own beside the prompt
# Of models billed by the picture: what of quality and size makes the price.
_BY_PICTURE = {
    ("standard", _SQUARE): "image.standard.square",
    ("standard", "1024x1792"): "image.standard.long",
    ("standard", "1792x1024"): "image.standard.long",
    ("hd", _SQUARE): "image.hd.square",
    ("hd", "1024x1792"): "image.hd.long",
    ("hd", "1792x1024"): "image.hd.long",
}


class _Images:
    dialect = Dialect(NAME, ("prompt",), (), None)
    serves: tuple[str, ...] = (NAME,)

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        parsed = await understood(body)
        self.dialect.check(parsed)
        wire.text(parsed["prompt"], "prompt")
        for name in ("stream", "partial_images"):
            if parsed.get(name):
                wire.unsupported(name, "pictures come whole here")
        return {**parsed, "model": parsed.get("model") or _USUAL}

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        kept, left = without_unknown(parsed, _KNOWN)
        n = positive(kept, "n") if "n" in kept else 1
        if n is None or not 1 <= n <= _MOST:
            raise BadRequest(f"n must be between 1 and {_MOST}.", param="n")
        quality = wire.text(kept.get("quality"), "quality")
        size = wire.text(kept.get("size"), "size")
        told = {"model": model.upstream_id, "user": kept.get("user") or user}
        body = orjson.dumps(kept | told)
        path = "/v1/images/generations"
        if not any(model.price.rates):
            counter = _counter(quality or "standard", size or _SQUARE)
            reading = lambda b, _: _by_picture(b, counter)  # noqa: E731
            return Job(path, body, reading, units={counter: n}, left_out=left)
        output = n * _TOKENS.get(quality, {}).get(size, _DEAREST)
        prompt = len(kept["prompt"].encode("utf-8", "replace")) + _OVERHEAD_TOKENS
        return Job(path, body, lambda b, _: _by_tokens(b), prompt, output, left_out=left)


def _counter(quality: str, size: str) -> str:
    found = _BY_PICTURE.get((quality, size))
    return found or wire.unsupported("size", f"there is no price for {quality!r} at {size!r}")


def _reply(body: bytes) -> tuple[dict[str, Any], int]:
    """The answer, and how many pictures are in it."""
    try:
        reply = parse(body)
    except BadRequest:
        reply = {}
    if not isinstance(pictures := reply.get("data"), list) or not pictures:
        raise UpstreamFailed("The model's provider sent an answer without a picture.")
    return reply, len(pictures)


def _by_picture(body: bytes, counter: str) -> Answered:
    return Answered(body, tally=Tally(calls={counter: _reply(body)[1]}))


def _by_tokens(body: bytes) -> Answered:
    usage = _reply(body)[0].get("usage")
    if not isinstance(usage, dict):
        raise UpstreamFailed("The model's provider did not tell what its answer used.")
    counted = Usage(input=count(usage, "input_tokens"), output=count(usage, "output_tokens"))
    return Answered(body, counted)


IMAGES = _Images()
