"""/v1/audio/transcriptions: sound to text, billed by the second or by tokens.

A vendor tells what it counted in JSON alone, so JSON is what it is asked for; text and subtitles
are made of it here. How long a sound can be is bounded by its bytes: a second of MP3 has a
thousand at least, one of plain samples four thousand; of what packs silence, four hours.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.catalogue.sold import Model
from gateway.dialects.codecs import wire
from gateway.dialects.codecs.tokens import count
from gateway.dialects.ir import Tally, Usage
from gateway.dialects.json_patch import parse
from gateway.metering import sound
from gateway.plane.client_dialects import Dialect
from gateway.plane.endpoints import multipart
from gateway.plane.endpoints.lane import JSON, Answered, Job
from gateway.plane.endpoints.multipart import File
from gateway.plane.exchange import Exchange
from hontoni.errors import BadRequest, TooLarge, UpstreamFailed

NAME = "openai_transcriptions"
SECONDS = "audio.seconds"
_KNOWN = frozenset(("model", "language", "prompt", "temperature", "timestamp_granularities[]"))
_OURS = frozenset(("response_format", "stream"))
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_OF_TOKENS = ("json", "text")
_MOST_BYTES = 25 * 1024 * 1024
_PLAIN = b"text/plain; charset=utf-8"


class _Transcriptions:
    dialect = Dialect(NAME, ("file",), (), None)
    serves: tuple[str, ...] = (NAME,)

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        """The file is `file`; fields of one value are texts, as they are in a form."""
        if len(body) > _MOST_BYTES + 65_536:
            raise TooLarge(f"A file may have {_MOST_BYTES // 1024 // 1024} MB.")
        kind = http.header(b"content-type")
        if not kind.lower().startswith("multipart/form-data"):
            raise BadRequest("The body must be multipart/form-data, with a file in it.")
        form = await asyncio.to_thread(multipart.read, body, kind)
        _check_case((*form.fields, *form.files))
        if (file := form.files.get("file")) is None or not file.content:
            wire.refuse("file", "is required and must not be empty")
        if form.one("stream").lower() in ("true", "1"):
            wire.unsupported("stream", "a transcription comes whole here")
        if form.one("response_format") not in ("", *_FORMATS):
            wire.refuse("response_format", f"one of {', '.join(_FORMATS)}")
        if not form.one("model"):
            wire.refuse("model", "is required")
        return {"model": form.one("model"), "file": file, "fields": form.fields}

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        file: File = parsed["file"]
        fields: dict[str, list[str]] = parsed["fields"]
        form = (fields.get("response_format") or ["json"])[-1] or "json"
        by_tokens = any(model.price.rates)
        if by_tokens and form not in _OF_TOKENS:
            wire.unsupported("response_format", f"{model.id} gives json or text")
        kept = {n: values for n, values in fields.items() if n in _KNOWN and values != [""]}
        kept["model"] = [model.upstream_id]
        kept["response_format"] = ["json" if by_tokens else "verbose_json"]
        left = tuple(f"member:{n[:80]}" for n in fields if n not in _KNOWN | _OURS)[:20]
        body, kind = multipart.write(kept, {"file": file})
        path = "/v1/audio/transcriptions"
        if by_tokens:
            most, reading = model.context_window, lambda b, _: _by_tokens(b, form)
            return Job(
                path, body, reading, most, model.max_output, most, left_out=left, sent_as=kind
            )
        units = {SECONDS: sound.most_seconds(file.content)}
        return Job(
            path, body, lambda b, _: _by_seconds(b, form), units=units, left_out=left, sent_as=kind
        )


def _check_case(names: Iterable[str]) -> None:
    """Raises BadRequest for a field that could be read as another one."""
    known = {*_KNOWN, *_OURS, "file"}
    for name in names:
        right = name.casefold().strip()
        if name not in known and right in known:
            raise BadRequest(f"{name[:60]}: write {right}.", param=name[:60])


def _reply(body: bytes) -> dict[str, Any]:
    try:
        reply = parse(body)
    except BadRequest:
        reply = {}
    if not isinstance(reply.get("text"), str):
        raise UpstreamFailed("The model's provider sent an answer we cannot read.")
    return reply


def _by_tokens(body: bytes, form: str) -> Answered:
    reply = _reply(body)
    usage = reply.get("usage")
    if not isinstance(usage, dict):
        raise UpstreamFailed("The model's provider did not tell what its answer used.")
    counted = Usage(input=count(usage, "input_tokens"), output=count(usage, "output_tokens"))
    details = usage.get("input_token_details")
    heard = count(details, "audio_tokens") if isinstance(details, dict) else counted.input
    written, kind = (reply["text"].encode() + b"\n", _PLAIN) if form == "text" else (body, JSON)
    return Answered(written, counted, Tally(calls={sound.HEARD: heard}), kind)


def _by_seconds(body: bytes, form: str) -> Answered:
    """Whole seconds, as the vendor bills them."""
    reply = _reply(body)
    usage, duration = reply.get("usage"), reply.get("duration")
    told = usage.get("seconds") if isinstance(usage, dict) else None
    seconds = told if told is not None else duration
    if isinstance(seconds, str) and seconds.replace(".", "", 1).isdecimal():
        seconds = float(seconds)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
        raise UpstreamFailed("The model's provider did not tell how long the sound is.")
    whole = int(seconds + 0.5)
    written, kind = _written(reply, form, whole)
    return Answered(written, tally=Tally(calls={SECONDS: whole}), media_type=kind)


def _written(reply: dict[str, Any], form: str, seconds: int) -> tuple[bytes, bytes]:
    """In the form that was asked for."""
    if form == "verbose_json":
        return orjson.dumps(reply), JSON
    if form == "json":
        usage = {"type": "duration", "seconds": seconds}
        return orjson.dumps({"text": reply["text"], "usage": usage}), JSON
    if form == "text":
        return reply["text"].encode() + b"\n", _PLAIN
    segments = wire.objects(reply.get("segments"), "segments")
    return _subtitles(segments, form).encode(), _PLAIN


def _subtitles(segments: list[dict[str, Any]], form: str) -> str:
    mark = "," if form == "srt" else "."
    blocks = ["WEBVTT"] if form == "vtt" else []
    for number, segment in enumerate(segments, 1):
        span = " --> ".join(_clock(segment.get(end), mark) for end in ("start", "end"))
        numbered = f"{number}\n" if form == "srt" else ""
        blocks.append(f"{numbered}{span}\n{str(segment.get('text') or '').strip()}")
    return "\n\n".join(blocks) + "\n\n"


def _clock(seconds: Any, mark: str) -> str:
    millis = int(float(seconds or 0) * 1000 + 0.5)
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


TRANSCRIPTIONS = _Transcriptions()
