"""The models that answer no prompts: they embed, judge, draw, hear and speak.

Prices are their vendors' own (lists of OpenAI and Google, November 2026): by the token in the
price row, by the second, the character and the picture in a counter of the allow-list.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils.translation import gettext_noop as _

from gateway.catalogue.features.models import Feature, Kind, Pricing
from gateway.catalogue.models import Model, Price
from gateway.vendors.models import Dialect
from hontoni.money import nanos

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST = 100  # in the order of lists, behind those that chat


class _Row(NamedTuple):
    """Prices in dollars a million tokens; `context` and `output` in tokens."""

    id: str
    name: str
    dialect: Dialect
    ability: str
    context: int = 0
    output: int = 0
    input_price: str = "0"
    output_price: str = "0"


_ROWS = (
    _Row("text-embedding-3-small", "Text Embedding 3 Small", Dialect.OPENAI_EMBEDDINGS,
         "embeddings", 8_192, 0, "0.02"),
    _Row("text-embedding-3-large", "Text Embedding 3 Large", Dialect.OPENAI_EMBEDDINGS,
         "embeddings", 8_192, 0, "0.13"),
    _Row("gemini-embedding-001", "Gemini Embedding", Dialect.GEMINI_EMBEDDINGS,
         "embeddings", 2_048, 0, "0.15"),
    _Row("omni-moderation-latest", "Omni Moderation", Dialect.OPENAI_MODERATIONS, "moderation"),
    _Row("gpt-image-1", "GPT Image 1", Dialect.OPENAI_IMAGES,
         "images", 32_000, 62_400, "5.00", "40.00"),
    _Row("gpt-image-1-mini", "GPT Image 1 mini", Dialect.OPENAI_IMAGES,
         "images", 32_000, 62_400, "2.00", "8.00"),
    _Row("dall-e-3", "DALL-E 3", Dialect.OPENAI_IMAGES, "images"),
    _Row("gpt-4o-transcribe", "GPT-4o Transcribe", Dialect.OPENAI_TRANSCRIPTIONS,
         "transcription", 16_000, 2_000, "2.50", "10.00"),
    _Row("gpt-4o-mini-transcribe", "GPT-4o mini Transcribe", Dialect.OPENAI_TRANSCRIPTIONS,
         "transcription", 16_000, 2_000, "1.25", "5.00"),
    _Row("whisper-1", "Whisper", Dialect.OPENAI_TRANSCRIPTIONS, "transcription"),
    _Row("tts-1", "TTS 1", Dialect.OPENAI_SPEECH, "speech"),
    _Row("tts-1-hd", "TTS 1 HD", Dialect.OPENAI_SPEECH, "speech"),
)  # fmt: skip

# Counter, model, dollars for `per` units, what it is, and how many a request may move.
_COUNTERS = (
    (Dialect.OPENAI_TRANSCRIPTIONS, "audio.seconds", "whisper-1", "0.006", 60, 14_400,
     _("sound, by the second: 0.006 dollars a minute")),
    (Dialect.OPENAI_TRANSCRIPTIONS, "audio.input", "gpt-4o-transcribe", "3.50", 1_000_000, 16_000,
     _("a token of sound, beside one of text: 6 dollars a million in all")),
    (Dialect.OPENAI_TRANSCRIPTIONS, "audio.input", "gpt-4o-mini-transcribe", "1.75", 1_000_000,
     16_000, _("a token of sound, beside one of text: 3 dollars a million in all")),
    (Dialect.OPENAI_SPEECH, "speech.characters", "tts-1", "15", 1_000_000, 4_096,
     _("speech, by the character: 15 dollars a million")),
    (Dialect.OPENAI_SPEECH, "speech.characters", "tts-1-hd", "30", 1_000_000, 4_096,
     _("speech, by the character: 30 dollars a million")),
    (Dialect.OPENAI_IMAGES, "image.standard.square", "dall-e-3", "0.04", 1, 10,
     _("a picture of 1024x1024")),
    (Dialect.OPENAI_IMAGES, "image.standard.long", "dall-e-3", "0.08", 1, 10,
     _("a picture of 1024x1792 or 1792x1024")),
    (Dialect.OPENAI_IMAGES, "image.hd.square", "dall-e-3", "0.08", 1, 10,
     _("a picture of 1024x1024, hd")),
    (Dialect.OPENAI_IMAGES, "image.hd.long", "dall-e-3", "0.12", 1, 10,
     _("a picture of 1024x1792 or 1792x1024, hd")),
)  # fmt: skip


def counters() -> Iterator[Feature]:
    """The rows of the allow-list that price what is no token."""
    for dialect, name, model, dollars, per, most, note in _COUNTERS:
        yield Feature(
            dialect=dialect,
            kind=Kind.COUNTER,
            name=name,
            only_models=model,
            pricing=Pricing.PER_CALL,
            amount=nanos(dollars) // per,
            meter=name,
            most_calls=most,
            note=note,
        )


def _vendor(row: _Row) -> str:
    return "google" if row.dialect == Dialect.GEMINI_EMBEDDINGS else "openai"


def _model(row: _Row, position: int) -> Model:
    return Model(
        id=row.id,
        name=row.name,
        vendor=_vendor(row),
        upstream_id=row.id,
        dialect=row.dialect,
        context_window=row.context,
        max_output=row.output,
        capabilities=[row.ability],
        sort_order=_FIRST + position,
        released_at=_EPOCH,
    )


def _price(row: _Row) -> Price:
    read, written = nanos(row.input_price), nanos(row.output_price)
    prompt = dict.fromkeys(("input", "cache_read", "cache_write_5m", "cache_write_1h"), read)
    return Price(model_id=row.id, effective_at=_EPOCH, output=written, reasoning=written, **prompt)


def seed() -> None:
    """Create the models and the prices that are missing."""
    models = [_model(row, position) for position, row in enumerate(_ROWS)]
    Model.objects.bulk_create(models, ignore_conflicts=True)
    priced = set(Price.objects.values_list("model_id", flat=True))
    Price.objects.bulk_create(_price(row) for row in _ROWS if row.id not in priced)
    Feature.objects.bulk_create(counters(), ignore_conflicts=True)
