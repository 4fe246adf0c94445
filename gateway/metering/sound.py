"""Sound: what a request has of it, and whether its model has a price for it.

Vendors bill sound at another price than text. A row of the allow-list (kind `counter`, named as
below) prices a token of it: what it costs beside a token of text, nothing where it costs the same.
A model without such a row is not asked with sound, nor for any.

WAV and MP3 have no fewer bytes than tokens a second (a vendor counts 10 to 32), so their bytes are
a bound. Other formats pack silence into nothing: they count as the whole context.
"""

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.catalogue.features.models import Pricing
from gateway.catalogue.sold import Model
from hontoni.errors import BadRequest

HEARD, SPOKEN = "audio.input", "audio.output"
_PLAIN = (1, 3, 6, 7)  # samples as they are, floats, A-law, mu-law
_SLOWEST = 4_000  # bytes a second
_SLOWEST_MP3 = 1_000
_MOST_SECONDS = 4 * 3_600  # of what packs silence into nothing
_BYTES_A_TOKEN = 200  # of base64, in most recordings
# Frames of MPEG's layer III (ISO 11172-3, 2.4.2.3; 13818-3), of which so many must follow.
_FRAMES, _LOOKED_AT = 8, 12_000
_HERTZ = (44_100, 48_000, 32_000)
_KILOBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_OF_HALVES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class Sound(NamedTuple):
    """Tokens of one piece, likely and at most; `blind` where nobody knows before the vendor."""

    likely: int
    most: int
    blind: bool


def refuse_unpriced(parsed: Mapping[str, Any], model: Model) -> None:
    """Raises BadRequest where an answer, or a part of the history, shall be sound."""
    if not is_spoken(parsed):
        return
    param = "modalities" if parsed.get("modalities") else "audio"
    _priced(SPOKEN, model, param)


def is_spoken(parsed: Mapping[str, Any]) -> bool:
    """Whether the answer may be sound."""
    raw = parsed.get("modalities")
    requested = isinstance(raw, list) and any(each != "text" for each in raw)
    return requested or bool(parsed.get("audio"))


def heard(block: Mapping[str, Any], model: Model, window: int) -> Sound:
    """What a piece of sound comes to. Raises BadRequest if its model has no price for it."""
    _priced(HEARD, model, "input_audio")
    raw = block.get("input_audio")
    inner = raw if isinstance(raw, dict) else block
    data = inner.get("data")
    if not isinstance(data, str) or not _is_measured(data):
        return Sound(window // 8, window, True)
    return Sound(min(len(data) // _BYTES_A_TOKEN + 1, window), min(len(data), window), False)


def rate(name: str, model: Model) -> int:
    """Nano-dollars that a token of sound costs beside one of text."""
    row = model.rules().counters.get(name)
    return model.paid(row.amount) if row is not None and row.pricing == Pricing.PER_CALL else 0


def _priced(name: str, model: Model, param: str) -> None:
    if name not in model.rules().counters:
        raise BadRequest(
            f"{model.id} takes no sound here: it has no price.",
            code="unsupported_parameter",
            param=param,
        )


def most_seconds(data: bytes) -> int:
    """How long a recording can be: whole seconds."""
    if not _is_bounded(data):
        return _MOST_SECONDS
    slowest = _SLOWEST if data[:4] == b"RIFF" else _SLOWEST_MP3
    return len(data) // slowest + 1


def _is_measured(data: str) -> bool:
    """Whether it is what bytes bound: an MP3, or a WAV of plain samples."""
    try:
        head = _decoded(data, _LOOKED_AT)
        if (tag := _tag(head)) + _LOOKED_AT > len(head) < len(data) * 3 // 4:
            head = _decoded(data, tag + _LOOKED_AT)
    except (binascii.Error, ValueError):
        return False
    return _is_bounded(head)


def _decoded(data: str, size: int) -> bytes:
    piece = data[: -(-size // 3) * 4]
    return base64.b64decode(piece + "=" * (-len(piece) % 4))


def _is_bounded(data: bytes) -> bool:
    """By what a decoder goes by. What only begins as an MP3 does may be anything: who reads it
    looks at several frames, too."""
    if data[:4] == b"RIFF" and data[8:16] == b"WAVEfmt ":
        kind, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", data.ljust(36), 20)
        each = min(align, channels * bits // 8)
        return kind in _PLAIN and each * rate >= _SLOWEST
    at, frames = _tag(data), 0
    while frames < _FRAMES and (size := _frame(data[at : at + 4])):
        at, frames = at + size, frames + 1
    return frames == _FRAMES or (frames > 0 and at >= len(data))


def _tag(data: bytes) -> int:
    """Bytes of the ID3 tag that stands before an MP3, or before anything else."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = sum(
        (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
    )
    return 10 + size + (10 if data[5] & 0x10 else 0)


def _frame(head: bytes) -> int:
    """Bytes of the frame of MPEG's layer III that begins so; 0 where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    first = head[1] & 0x18 == 0x18  # MPEG-1; else MPEG-2, at half its rate, or 2.5, at a quarter
    rate, bits = head[2] >> 2 & 3, head[2] >> 4
    if head[1] & 0x18 == 0x08 or rate == 3 or not 0 < bits < 15:
        return 0
    hertz = _HERTZ[rate] >> (not first) >> (head[1] & 0x18 == 0)
    kilobits = (_KILOBITS if first else _KILOBITS_OF_HALVES)[bits - 1]
    return (144 if first else 72) * kilobits * 1_000 // hertz + (head[2] >> 1 & 1)
