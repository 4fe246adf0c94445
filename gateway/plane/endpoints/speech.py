"""/v1/audio/speech: text to sound, billed by its characters."""

from typing import Any

import orjson

from gateway.catalogue.sold import Model
from gateway.dialects.codecs import wire
from gateway.dialects.ir import Tally
from gateway.plane.client_dialects import Dialect
from gateway.plane.endpoints.lane import Answered, Job, understood, without_unknown
from gateway.plane.exchange import Exchange
from hontoni.errors import UpstreamFailed

NAME = "openai_speech"
CHARACTERS = "speech.characters"
_KNOWN = frozenset(("model", "input", "voice", "response_format", "speed", "instructions"))
_LONGEST = 4_096  # characters, as the vendor has it
_TYPES = {
    "mp3": b"audio/mpeg",
    "opus": b"audio/ogg",
    "aac": b"audio/aac",
    "flac": b"audio/flac",
    "wav": b"audio/wav",
    "pcm": b"audio/pcm",
}


class _Speech:
    dialect = Dialect(NAME, ("input",), (), None)
    serves: tuple[str, ...] = (NAME,)

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        parsed = await understood(body)
        self.dialect.check(parsed)
        if len(wire.text(parsed["input"], "input")) > _LONGEST:
            wire.refuse("input", f"has more than {_LONGEST} characters")
        if parsed.get("stream_format") not in (None, "audio"):
            wire.unsupported("stream_format", "sound comes whole here")
        if not parsed.get("model"):
            wire.refuse("model", "is required")
        return parsed

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        kept, left = without_unknown(parsed, _KNOWN | {"stream_format"})
        kept.pop("stream_format", None)
        form = wire.text(kept.get("response_format"), "response_format") or "mp3"
        if form not in _TYPES:
            wire.refuse("response_format", f"one of {', '.join(_TYPES)}")
        characters = len(kept["input"])
        body = orjson.dumps(kept | {"model": model.upstream_id})

        def reading(answer: bytes, media_type: str) -> Answered:
            if not answer or media_type.startswith("application/json"):
                raise UpstreamFailed("The model's provider sent an answer without sound.")
            tally = Tally(calls={CHARACTERS: characters})
            return Answered(answer, tally=tally, media_type=_TYPES[form])

        return Job(
            "/v1/audio/speech", body, reading, units={CHARACTERS: characters}, left_out=left
        )


SPEECH = _Speech()
