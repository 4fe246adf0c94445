"""Sound: what a request has of it, and whether its model has a price for it.

Vendors bill sound at another price than text. A row of the allow-list (kind `counter`, named as
below) prices a token of it: what it costs beside a token of text, nothing where it costs the same.
A model without such a row is not asked with sound, nor for any.

WAV and MP3 have no fewer bytes than tokens a second (a vendor counts 10 to 32), so their bytes are
a bound. Other formats pack silence into nothing: they count as the whole context.
"""

import base64
import binascii
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
    head = data[:64]
    if not _is_bounded(head):
        return _MOST_SECONDS
    slowest = _SLOWEST if head[:4] == b"RIFF" else _SLOWEST_MP3
    return len(data) // slowest + 1


def _is_measured(data: str) -> bool:
    """Whether it is what bytes bound: an MP3, or a WAV of plain samples."""
    try:
        head = base64.b64decode(data[:64] + "=" * (-len(data[:64]) % 4))
    except (binascii.Error, ValueError):
        return False
    return _is_bounded(head)


def _is_bounded(head: bytes) -> bool:
    if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt ":
        kind, channels, samples = head[20:22], head[22:24], head[24:28]
        each = int.from_bytes(head[32:34], "little")
        plain = int.from_bytes(kind, "little") in _PLAIN and channels != b"\0\0"
        return plain and each * int.from_bytes(samples, "little") >= _SLOWEST
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
