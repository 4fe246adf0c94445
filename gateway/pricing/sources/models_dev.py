"""models.dev's api.json: by provider and model; dollars per million tokens, tiers by the size of
the prompt. Kept by volunteers, exact, and late."""

from collections.abc import Iterator
from typing import Any

from gateway.pricing.sources import listings
from gateway.pricing.sources.listings import Listing

NAME, URL = "models.dev", "https://models.dev/api.json"
VENDORS = {
    **{name: name for name in ("anthropic", "openai", "google", "deepseek", "mistral", "xai")},
    **{"alibaba": "qwen", "moonshotai": "moonshot", "zai": "zai"},
}


def read(body: Any) -> Iterator[Listing]:
    """Raises Unreadable."""
    providers = listings.table(body, NAME)
    for known, vendor in VENDORS.items():
        provider = listings.table(providers.get(known, {"models": {}}), NAME)
        for name, model in listings.table(provider.get("models"), NAME).items():
            found = _model(vendor, name, listings.table(model, NAME))
            if found is not None:
                yield found


def _model(vendor: str, name: str, model: dict[str, Any]) -> Listing | None:
    made = (model.get("modalities") or {}).get("output") or ["text"]
    if made != ["text"] or model.get("status") == "deprecated":
        return None
    cost = model.get("cost") or {}
    tier: dict[str, Any] = next(iter(cost.get("tiers") or ()), {})
    above = (tier.get("tier") or {}).get("size")
    if not above and (tier := cost.get("context_over_200k") or {}):
        above = 200_000
    limit = model.get("limit") or {}
    return Listing(
        source=NAME,
        vendor=vendor,
        name=name,
        title=str(model.get("name") or name),
        rates=_rates(vendor, cost),
        long_above=above or None,
        long_rates=_rates(vendor, tier) if above else {},
        context=listings.whole(limit.get("context")),
        max_output=listings.whole(limit.get("output")),
        capabilities=_capabilities(model),
        released=listings.day(model.get("release_date")),
        ends=listings.day(model.get("retirement_date")),
    )


def _rates(vendor: str, cost: dict[str, Any]) -> listings.Rates:
    return listings.rates(
        vendor,
        input=listings.dollars(cost.get("input")),
        output=listings.dollars(cost.get("output")),
        cache_read=listings.dollars(cost.get("cache_read")),
        cache_write=listings.dollars(cost.get("cache_write")),
        reasoning=listings.dollars(cost.get("reasoning")),
    )


def _capabilities(model: dict[str, Any]) -> frozenset[str]:
    taken = (model.get("modalities") or {}).get("input") or ()
    known = {
        "reasoning": bool(model.get("reasoning")),
        "tools": bool(model.get("tool_call")),
        "vision": "image" in taken,
    }
    return frozenset(name for name, has in known.items() if has)
