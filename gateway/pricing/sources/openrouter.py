"""OpenRouter's list of models: dollars per token as text. The names that people type; the prices
are its own, and not the vendors', so they are shown and make no proposal."""

from collections.abc import Iterator
from typing import Any

from gateway.pricing.sources import said
from gateway.pricing.sources.said import Said

NAME, URL = "OpenRouter", "https://openrouter.ai/api/v1/models"
_VENDORS = ("anthropic", "openai", "google")


def read(body: Any) -> Iterator[Said]:
    """Raises Unreadable."""
    for row in said.listed(said.table(body, NAME).get("data"), NAME):
        vendor, _, name = str(row.get("id", "")).partition("/")
        if vendor in _VENDORS and ":" not in name:
            yield _model(vendor, name, row)


def _model(vendor: str, name: str, row: dict[str, Any]) -> Said:
    pricing = row.get("pricing") or {}
    return Said(
        source=NAME,
        vendor=vendor,
        name=name,
        title=str(row.get("name") or name).rpartition(": ")[2],
        rates=said.rates(
            vendor,
            input=said.per_token(pricing.get("prompt")),
            output=said.per_token(pricing.get("completion")),
            cache_read=said.per_token(pricing.get("input_cache_read")),
            cache_write=said.per_token(pricing.get("input_cache_write")),
        ),
        context=said.whole(row.get("context_length")),
        max_output=said.whole((row.get("top_provider") or {}).get("max_completion_tokens")),
        ends=said.day(row.get("expiration_date")),
        trusted=False,
    )
