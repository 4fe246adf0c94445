"""LiteLLM's price map: flat, dollars per token, with the date of a model's end. There on the day a
model appears, and corrected later."""

from collections.abc import Iterator
from typing import Any

from gateway.pricing.sources import listings
from gateway.pricing.sources.listings import Listing

NAME = "LiteLLM"
URL = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
VENDORS = {
    **{name: name for name in ("anthropic", "openai", "deepseek", "mistral", "xai", "moonshot")},
    **{"gemini": "google", "dashscope": "qwen", "zai": "zai"},
}
_ABOVE = (100_000, 128_000, 200_000, 272_000)
_CAPABILITIES = {
    "reasoning": "supports_reasoning",
    "tools": "supports_function_calling",
    "vision": "supports_vision",
}


def read(body: Any) -> Iterator[Listing]:
    """Raises Unreadable."""
    for name, row in listings.table(body, NAME).items():
        vendor = VENDORS.get(listings.table(row, NAME).get("litellm_provider", ""))
        if vendor is None or row.get("mode") not in ("chat", "responses"):
            continue
        if name.count("/") > 1 or name.startswith(("ft:", "us/", "eu/")):
            continue  # a region's, or somebody's own
        yield _model(vendor, name, row)


def _model(vendor: str, name: str, row: dict[str, Any]) -> Listing:
    above = next((size for size in _ABOVE if _at("input_cost_per_token", size) in row), None)
    return Listing(
        source=NAME,
        vendor=vendor,
        name=name.rpartition("/")[2],
        rates=_rates(vendor, row, None),
        long_above=above,
        long_rates=_rates(vendor, row, above) if above else {},
        context=listings.whole(row.get("max_input_tokens")),
        max_output=listings.whole(row.get("max_output_tokens")),
        capabilities=frozenset(word for word, key in _CAPABILITIES.items() if row.get(key)),
        ends=listings.day(row.get("deprecation_date")),
    )


def _at(name: str, above: int | None) -> str:
    return f"{name}_above_{above // 1000}k_tokens" if above else name


def _rates(vendor: str, row: dict[str, Any], above: int | None) -> listings.Rates:
    def of(name: str) -> int | None:
        return listings.per_token(row.get(_at(name, above)))

    return listings.rates(
        vendor,
        input=of("input_cost_per_token"),
        output=of("output_cost_per_token"),
        cache_read=of("cache_read_input_token_cost"),
        cache_write=of("cache_creation_input_token_cost"),
        cache_write_1h=listings.per_token(row.get("cache_creation_input_token_cost_above_1hr"))
        if above is None
        else None,
        reasoning=of("output_cost_per_reasoning_token"),
    )
