"""The 19 models of the documentation, their prices and the names they also answer to.

Idempotent: creates what is missing, never overwrites what staff edited.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from django.db import transaction

from gateway.catalogue import clock, seed_endpoints
from gateway.catalogue.features import seed as features
from gateway.catalogue.models import BUCKETS, Alias, Model, Price
from gateway.catalogue.prices import schedule
from gateway.vendors.models import Dialect
from hontoni.money import nanos

_CAPABILITIES = ["reasoning", "tools", "vision", "code", "chat"]
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class _Row(NamedTuple):
    id: str
    name: str
    vendor: str
    upstream_id: str
    context_k: int
    max_output: int
    input: str
    output: str
    cache_read: str = ""
    cache_write: str = ""
    reasoning: bool = True


# Context and prices (dollars per million tokens) as "Models & Pricing" of the documentation has
# them; vendor ids and output limits as the vendors document them.
_ROWS = (
    _Row("claude-sonnet-4", "Claude Sonnet 4", "anthropic", "claude-sonnet-4-20250514",
         216, 64_000, "3.00", "15.00", "0.30", "3.75"),
    _Row("claude-sonnet-4.5", "Claude Sonnet 4.5", "anthropic", "claude-sonnet-4-5-20250929",
         200, 64_000, "3.00", "15.00", "0.30", "3.75"),
    _Row("claude-sonnet-4.6", "Claude Sonnet 4.6", "anthropic", "claude-sonnet-4-6",
         200, 64_000, "3.00", "15.00", "0.30", "3.75"),
    _Row("claude-opus-4.5", "Claude Opus 4.5", "anthropic", "claude-opus-4-5-20251101",
         200, 64_000, "5.00", "25.00", "0.50", "6.25"),
    _Row("claude-opus-4.6", "Claude Opus 4.6", "anthropic", "claude-opus-4-6",
         200, 128_000, "5.00", "25.00", "0.50", "6.25"),
    _Row("claude-haiku-4.5", "Claude Haiku 4.5", "anthropic", "claude-haiku-4-5-20251001",
         200, 64_000, "1.00", "5.00", "0.10", "1.25"),
    _Row("gpt-4o", "GPT-4o", "openai", "gpt-4o", 128, 16_384, "2.50", "10.00", reasoning=False),
    _Row("gpt-4o-mini", "GPT-4o mini", "openai", "gpt-4o-mini",
         128, 16_384, "0.15", "0.60", reasoning=False),
    _Row("gpt-4.1", "GPT-4.1", "openai", "gpt-4.1", 128, 32_768, "2.00", "8.00", reasoning=False),
    _Row("gpt-5.1", "GPT-5.1", "openai", "gpt-5.1", 264, 128_000, "5.00", "15.00"),
    _Row("gpt-5.2", "GPT-5.2", "openai", "gpt-5.2", 264, 128_000, "5.00", "20.00"),
    _Row("gpt-5.2-codex", "GPT-5.2 Codex", "openai", "gpt-5.2-codex",
         400, 128_000, "5.00", "20.00"),
    _Row("gpt-5.3-codex", "GPT-5.3 Codex", "openai", "gpt-5.3-codex",
         400, 128_000, "5.00", "20.00"),
    _Row("gpt-5.4", "GPT-5.4", "openai", "gpt-5.4", 400, 128_000, "3.00", "12.00"),
    _Row("gpt-5.4-mini", "GPT-5.4 mini", "openai", "gpt-5.4-mini", 400, 128_000, "0.40", "1.60"),
    _Row("gpt-5-mini", "GPT-5 mini", "openai", "gpt-5-mini", 264, 128_000, "1.00", "4.00"),
    _Row("gemini-2.5-pro", "Gemini 2.5 Pro", "google", "gemini-2.5-pro",
         128, 65_536, "1.25", "10.00"),
    _Row("gemini-3-flash-preview", "Gemini 3 Flash Preview", "google", "gemini-3-flash-preview",
         128, 65_536, "0.15", "0.60"),
    _Row("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", "google", "gemini-3.1-pro-preview",
         128, 65_536, "1.25", "5.00"),
)  # fmt: skip

# Spoken through Chat Completions; every newer model of OpenAI's reasons, and Chat neither returns
# its reasoning nor takes tools beside it (protocols.md section 0, rule 4).
_CHAT = ("gpt-4o", "gpt-4o-mini", "gpt-4.1")
_DIALECTS = {
    "anthropic": Dialect.ANTHROPIC_MESSAGES,
    "openai": Dialect.OPENAI_RESPONSES,
    "google": Dialect.GEMINI,
}

# A million tokens of context, and what switches it on where it is not on by itself. A prompt
# longer than LONG_ABOVE costs the vendor's long-context prices: input twice, output half as much
# again.
_LONG_CONTEXT = {
    "claude-sonnet-4": "context-1m-2025-08-07",
    "claude-sonnet-4.5": "context-1m-2025-08-07",
    "claude-sonnet-4.6": "",
    "claude-opus-4.6": "",
}
_LONG_WINDOW, _LONG_ABOVE = 1_000_000, 200_000

# Names the vendors themselves give to what we sell under another id, and names that agents pick
# when nobody chose a model: the nearest one we sell.
_ALIASES = {
    "claude-sonnet-4-0": "claude-sonnet-4",
    "claude-sonnet-4-5": "claude-sonnet-4.5",
    "claude-sonnet-4-6": "claude-sonnet-4.6",
    "claude-opus-4-5": "claude-opus-4.5",
    "claude-opus-4-6": "claude-opus-4.6",
    "claude-haiku-4-5": "claude-haiku-4.5",
    "gpt-4o-2024-08-06": "gpt-4o",
    "gpt-4o-2024-11-20": "gpt-4o",
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "gpt-4.1-2025-04-14": "gpt-4.1",
    "gpt-5.4-nano": "gpt-5.4-mini",
    "gpt-5-nano": "gpt-5.4-mini",
    "gpt-4.1-mini": "gpt-4o-mini",
    "gpt-4.1-nano": "gpt-4o-mini",
    "gemini-3.8-flash": "gemini-3-flash-preview",
    "claude-opus-5": "claude-opus-4.6",
    "claude-opus-5-5": "claude-opus-4.6",
    "claude-opus-5.5": "claude-opus-4.6",
    "claude-opus-4-7": "claude-opus-4.6",
    "claude-opus-4-8": "claude-opus-4.6",
    "claude-fable-5": "claude-opus-4.6",
    "claude-fable-5-1": "claude-opus-4.6",
    "claude-fable-5-2": "claude-opus-4.6",
    "claude-sonnet-5": "claude-sonnet-4.6",
    "claude-sonnet-5-5": "claude-sonnet-4.6",
    "claude-sonnet-5.5": "claude-sonnet-4.6",
    "claude-haiku-5": "claude-haiku-4.5",
    "claude-haiku-5-5": "claude-haiku-4.5",
    "claude-haiku-5.5": "claude-haiku-4.5",
    "gpt-5-codex": "gpt-5.3-codex",
    "gpt-5.1-codex": "gpt-5.3-codex",
    "gpt-5.1-codex-max": "gpt-5.3-codex",
    "gpt-5.5": "gpt-5.4",
    "gpt-6-astra": "gpt-5.4",
    "gpt-6-sol": "gpt-5.4",
    "gpt-6.1-sol": "gpt-5.4",
    "gpt-6.1-terra": "gpt-5.4",
    "gpt-6-luna": "gpt-5.4-mini",
}

# Where two of ours are near, the one that is not dearer is meant.
_ALTERNATIVES = {
    "gpt-5-codex": "gpt-5.4",
    "gpt-5.1-codex": "gpt-5.4",
    "gpt-5.1-codex-max": "gpt-5.4",
}


# What the vendor takes for a token read from its cache, in percent of a fresh one's, where the
# documentation gives no price of ours for it (price lists of OpenAI and Google, November 2026).
_CACHED_PERCENT = {"gpt-4o": 50, "gpt-4o-mini": 50, "gpt-4.1": 25}
_CACHED_PERCENT_ELSE = 10


def _price(row: _Row, model: Model) -> Price:
    """Where the documentation gives no price for writing a cache, that costs what input costs."""
    rates = {
        "input": nanos(row.input),
        "cache_read": nanos(row.cache_read) if row.cache_read else _cached(row),
        "cache_write_5m": nanos(row.cache_write or row.input),
        "cache_write_1h": nanos(row.input) * (2 if row.cache_write else 1),
        "output": nanos(row.output),
        "reasoning": nanos(row.output),
    }
    if row.id in _LONG_CONTEXT:
        for bucket, rate in list(rates.items()):
            dearer = rate * 3 // 2 if bucket in ("output", "reasoning") else rate * 2
            rates[f"long_{bucket}"] = dearer
        rates["long_context_above"] = _LONG_ABOVE
    return Price(model=model, effective_at=_EPOCH, **rates)


def _cached(row: _Row) -> int:
    """The vendor's discount on our price."""
    return nanos(row.input) * _CACHED_PERCENT.get(row.id, _CACHED_PERCENT_ELSE) // 100


def _discount(row: _Row) -> None:
    """An installation of before sold its cache as fresh input: as long as staff have made no other
    price, the discount is one, from now on. It is cheaper, so nobody needs notice."""
    newest = Price.objects.filter(model_id=row.id).order_by("-effective_at", "-id").first()
    if newest is None or row.cache_read or newest.effective_at != _EPOCH:
        return
    if newest.cache_read == newest.input == nanos(row.input):
        columns = {name: getattr(newest, name) for name in (*BUCKETS, "long_context_above")}
        columns |= {f"long_{name}": getattr(newest, f"long_{name}") for name in BUCKETS}
        price = Price(model_id=row.id, **columns | {"cache_read": _cached(row)})
        price.effective_at = clock.now() + schedule.LEAD
        price.reason = "the vendor's discount on cached input"
        schedule.announce(price, actor="seed")


def _model(row: _Row, position: int) -> Model:
    return Model(
        id=row.id,
        name=row.name,
        vendor=row.vendor,
        upstream_id=row.upstream_id,
        dialect=Dialect.OPENAI_CHAT if row.id in _CHAT else _DIALECTS[row.vendor],
        context_window=row.context_k * 1000,
        max_output=row.max_output,
        long_context_window=_LONG_WINDOW if row.id in _LONG_CONTEXT else None,
        long_context_beta=_LONG_CONTEXT.get(row.id, ""),
        capabilities=[c for c in _CAPABILITIES if row.reasoning or c != "reasoning"],
        sort_order=position,
        released_at=_EPOCH,
    )


@transaction.atomic
def seed() -> None:
    """Create the models, prices, aliases and features that are missing."""
    models = [_model(row, position) for position, row in enumerate(_ROWS)]
    Model.objects.bulk_create(models, ignore_conflicts=True)
    priced = set(Price.objects.values_list("model_id", flat=True))
    rows = zip(_ROWS, models, strict=True)
    Price.objects.bulk_create(_price(row, model) for row, model in rows if row.id not in priced)
    for row in _ROWS:
        if row.id in priced:
            _discount(row)
    vendor_ids = {row.upstream_id: row.id for row in _ROWS if row.upstream_id != row.id}
    Alias.objects.bulk_create(
        (
            Alias(name=name, model_id=model, alternative_id=_ALTERNATIVES.get(name))
            for name, model in (vendor_ids | _ALIASES).items()
        ),
        ignore_conflicts=True,
    )
    features.seed()
    seed_endpoints.seed()
