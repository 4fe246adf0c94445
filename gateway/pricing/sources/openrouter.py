"""OpenRouter's list of models: dollars per token as text. The names that people type; the prices
are its own, and not the vendors', so they are shown and make no proposal."""

from collections.abc import Iterator
from typing import Any

from gateway.pricing.sources import listings
from gateway.pricing.sources.listings import Listing

NAME, URL = "OpenRouter", "https://openrouter.ai/api/v1/models"
VENDORS = {
    **{name: name for name in ("anthropic", "openai", "google", "deepseek", "qwen")},
    **{"moonshotai": "moonshot", "z-ai": "zai", "mistralai": "mistral", "x-ai": "xai"},
}


def read(body: Any) -> Iterator[Listing]:
    """Raises Unreadable."""
    for row in listings.listed(listings.table(body, NAME).get("data"), NAME):
        author, _, name = str(row.get("id", "")).partition("/")
        if author in VENDORS and ":" not in name:
            yield _model(VENDORS[author], name, row)


def _model(vendor: str, name: str, row: dict[str, Any]) -> Listing:
    pricing = row.get("pricing") or {}
    return Listing(
        source=NAME,
        vendor=vendor,
        name=name,
        title=str(row.get("name") or name).rpartition(": ")[2],
        rates=listings.rates(
            vendor,
            input=listings.per_token(pricing.get("prompt")),
            output=listings.per_token(pricing.get("completion")),
            cache_read=listings.per_token(pricing.get("input_cache_read")),
            cache_write=listings.per_token(pricing.get("input_cache_write")),
        ),
        context=listings.whole(row.get("context_length")),
        max_output=listings.whole((row.get("top_provider") or {}).get("max_completion_tokens")),
        ends=listings.day(row.get("expiration_date")),
        trusted=False,
    )
