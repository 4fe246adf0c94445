"""What is no conversation, as OpenAI and Google answer and bill it: embeddings, moderations,
pictures, transcriptions and speech."""

import base64
import email
import struct
import wave
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import orjson

from sandbox.vendors.conversation import Json, Sent, mapping, objects
from sandbox.vendors.dialect import fresh
from sandbox.vendors.meter import Line, Work
from sandbox.vendors.usage import Tokens, count
from sandbox.vendors.vendors import Vendor, VendorError

_JSON = "application/json"
_PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
_SIZES = {"1024x1024": 0, "1024x1536": 1, "1536x1024": 2}
_QUALITIES = {"low": (272, 408, 400), "medium": (1056, 1584, 1568), "high": (4160, 6240, 6208)}
_LONG = ("1024x1792", "1792x1024")
_BYTES_A_SECOND = 16_000  # of what is no WAV
_TOKENS_A_SECOND = 10
_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


class Made(NamedTuple):
    body: bytes
    work: Work
    media_type: str = _JSON


Endpoint = Callable[[Sent, bytes], Made]


def _made(
    sent: Sent,
    reply: Json,
    *,
    vendor: Vendor = "openai",
    tokens: Tokens | None = None,
    calls: dict[str, int] | None = None,
) -> Made:
    return Made(orjson.dumps(reply), _work(sent, vendor, tokens or Tokens(), calls or {}))


def _work(sent: Sent, vendor: Vendor, tokens: Tokens, calls: dict[str, int]) -> Work:
    line = Line("message", sent.model, tokens)
    return Work(vendor, sent.model, (line,), calls, finish="whole")


def _required(sent: Sent, name: str) -> Any:
    if not (value := sent.body.get(name)):
        raise VendorError(f"Missing required parameter: '{name}'.", param=name)
    return value


def _only(sent: Sent, *known: str) -> None:
    for name in sent.body:
        if name not in known:
            raise VendorError(f"Unrecognized request argument supplied: {name}", param=name)


def _vector(text: str, size: int) -> list[float]:
    """The same for the same text, of length one."""
    at = sum(text.encode()) % size
    return [1.0 if place == at else 0.0 for place in range(size)]


def embeddings(sent: Sent, raw: bytes) -> Made:
    _only(sent, "model", "input", "dimensions", "encoding_format", "user")
    given = _required(sent, "input")
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    used = sum(count(each) if isinstance(each, str) else len(each) for each in inputs)
    size = sent.body.get("dimensions") or (3072 if "large" in sent.model else 1536)
    vectors: list[Any] = [_vector(str(each), size) for each in inputs]
    if sent.body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{size}f", *each)).decode() for each in vectors]
    data = [
        {"object": "embedding", "index": at, "embedding": vector}
        for at, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": used, "total_tokens": used}
    reply = {"object": "list", "data": data, "model": sent.model, "usage": usage}
    return _made(sent, reply, tokens=Tokens(input=used))


def contents(sent: Sent, raw: bytes) -> Made:
    requests = objects(sent.body.get("requests"))
    if not requests:
        raise VendorError("* BatchEmbedContentsRequest.requests: requests is not specified")
    texts = []
    for request in requests:
        if request.get("model") != f"models/{sent.model}":
            raise VendorError("* BatchEmbedContentsRequest.requests: model must match the URL's.")
        parts = objects(mapping(request.get("content")).get("parts"))
        texts.append(" ".join(str(part.get("text") or "") for part in parts))
    used = sum(map(count, texts))
    size = requests[0].get("outputDimensionality") or 3072
    reply = {
        "embeddings": [{"values": _vector(text, size)} for text in texts],
        "usageMetadata": {"promptTokenCount": used},
    }
    return _made(sent, reply, vendor="google", tokens=Tokens(input=used))


def moderations(sent: Sent, raw: bytes) -> Made:
    _only(sent, "model", "input")
    given = _required(sent, "input")
    inputs = given if isinstance(given, list) and isinstance(given[0], str) else [given]
    results = [
        {
            "flagged": "harm" in str(each),
            "categories": {"violence": "harm" in str(each)},
            "category_scores": {"violence": 0.9 if "harm" in str(each) else 0.01},
        }
        for each in inputs
    ]
    return _made(sent, {"id": fresh("modr-"), "model": sent.model, "results": results})


def images(sent: Sent, raw: bytes) -> Made:
    prompt, n = str(_required(sent, "prompt")), sent.body.get("n") or 1
    size, quality = sent.body.get("size"), sent.body.get("quality")
    data = [{"b64_json": _PICTURE} for _ in range(n)]
    reply: Json = {"created": 1790000000, "data": data}
    if sent.model == "dall-e-3":
        if n != 1:
            raise VendorError("You must provide n=1 for this model.", param="n")
        shape = "long" if size in _LONG else "square"
        counter = f"image.{'hd' if quality == 'hd' else 'standard'}.{shape}"
        return _made(sent, reply, calls={counter: n})
    if quality not in (None, "auto", *_QUALITIES):
        raise VendorError(f"Invalid value: '{quality}'.", param="quality")
    each = _QUALITIES.get(quality or "high", _QUALITIES["high"])[_SIZES.get(size or "", 1)]
    tokens = Tokens(input=count(prompt), output=n * each)
    reply["usage"] = {
        "input_tokens": tokens.input,
        "input_tokens_details": {"text_tokens": tokens.input, "image_tokens": 0},
        "output_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
    return _made(sent, reply, tokens=tokens)


def fields(raw: bytes, content_type: str) -> Json:
    """The fields of a form; a file as its bytes."""
    form = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    found: Json = {}
    for part in form.walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            content = part.get_payload(decode=True)
            held = content if isinstance(content, bytes) else b""
            is_file = part.get_filename() is not None
            found[name] = {"bytes": len(held), "at": raw.find(held)} if is_file else held.decode()
    return found


def _seconds(sound: bytes) -> float:
    try:
        with wave.open(BytesIO(sound)) as recording:
            return float(recording.getnframes() / recording.getframerate())
    except (wave.Error, EOFError):
        return len(sound) / _BYTES_A_SECOND


def transcriptions(sent: Sent, raw: bytes) -> Made:
    file = mapping(_required(sent, "file"))
    seconds = _seconds(raw[file["at"] : file["at"] + file["bytes"]])
    text, form = "Xin chào.", sent.body.get("response_format") or "json"
    if sent.model == "whisper-1":
        whole = int(seconds + 0.5)
        usage = {"type": "duration", "seconds": whole}
        reply: Json = {"text": text, "usage": usage}
        if form == "verbose_json":
            segment = {"id": 0, "start": 0.0, "end": seconds, "text": text}
            reply |= {"task": "transcribe", "duration": seconds, "segments": [segment]}
        elif form != "json":
            raise VendorError("the product asks for what tells its usage", param="response_format")
        return _made(sent, reply, calls={"audio.seconds": whole})
    if form != "json":
        raise VendorError("response_format is not compatible.", param="response_format")
    heard, prompt = int(seconds * _TOKENS_A_SECOND) + 1, count(str(sent.body.get("prompt") or ""))
    tokens = Tokens(input=heard + prompt, output=count(text))
    usage = {
        "type": "tokens",
        "input_tokens": tokens.input,
        "input_token_details": {"text_tokens": prompt, "audio_tokens": heard},
        "output_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
    return _made(sent, {"text": text, "usage": usage}, tokens=tokens, calls={"audio.input": heard})


def speech(sent: Sent, raw: bytes) -> Made:
    text = str(_required(sent, "input"))
    _required(sent, "voice")
    if (sent.body.get("response_format") or "mp3") not in _FORMATS:
        raise VendorError("Invalid value for 'response_format'.", param="response_format")
    work = _work(sent, "openai", Tokens(), {"speech.characters": len(text)})
    return Made(b"ID3" + bytes(64), work, "audio/mpeg")


ENDPOINTS: dict[str, Endpoint] = {
    "/v1/embeddings": embeddings,
    "/v1/moderations": moderations,
    "/v1/images/generations": images,
    "/v1/audio/transcriptions": transcriptions,
    "/v1/audio/speech": speech,
    "/v1beta/models/{model}:batchEmbedContents": contents,
}
