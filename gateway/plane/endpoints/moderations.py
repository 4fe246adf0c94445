"""/v1/moderations: whether a text or a picture is harmful. Free at its vendor, and so here."""

from typing import Any

import orjson

from gateway.catalogue.sold import Model
from gateway.dialects.json_patch import parse, patch
from gateway.plane.client_dialects import Dialect
from gateway.plane.endpoints.lane import Answered, Job, understood, without_unknown
from gateway.plane.exchange import Exchange
from hontoni.errors import BadRequest, UpstreamFailed

NAME = "openai_moderations"
_USUAL = "omni-moderation-latest"
_KNOWN = frozenset(("model", "input"))


class _Moderations:
    dialect = Dialect(NAME, ("input",), (), None)
    serves: tuple[str, ...] = (NAME,)

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        parsed = await understood(body)
        self.dialect.check(parsed)
        return {**parsed, "model": parsed.get("model") or _USUAL}

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        kept, left = without_unknown(parsed, _KNOWN)
        body = orjson.dumps(kept | {"model": model.upstream_id})
        return Job("/v1/moderations", body, lambda b, _: _passed(b, name), left_out=left)


def _passed(body: bytes, name: str) -> Answered:
    try:
        reply = parse(body)
    except BadRequest:
        raise UpstreamFailed("The model's provider sent an answer we cannot read.") from None
    return Answered(patch(body, reply, {"model": name}))


MODERATIONS = _Moderations()
