"""The vendors' own lists of models: which there are, and when they end. They tell no prices."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from gateway.pricing.sources import listings
from gateway.pricing.sources.listings import Listing


def openai(body: Any) -> Iterator[Listing]:
    """`GET /v1/models`, with the `shutdown_date` of what ends. Raises Unreadable."""
    for row in listings.listed(listings.table(body, "OpenAI").get("data"), "OpenAI"):
        yield Listing(
            source="OpenAI",
            vendor="openai",
            name=str(row.get("id", "")),
            released=_second(row.get("created")),
            ends=_second(row.get("shutdown_date")) or listings.day(row.get("shutdown_date")),
        )


def anthropic(body: Any) -> Iterator[Listing]:
    """`GET /v1/models`. Raises Unreadable."""
    for row in listings.listed(listings.table(body, "Anthropic").get("data"), "Anthropic"):
        yield Listing(
            source="Anthropic",
            vendor="anthropic",
            name=str(row.get("id", "")),
            title=str(row.get("display_name") or ""),
            context=listings.whole(row.get("max_input_tokens")),
            max_output=listings.whole(row.get("max_tokens")),
            released=listings.day(row.get("created_at")),
            ends=listings.day(row.get("retirement_date")),
        )


def google(body: Any) -> Iterator[Listing]:
    """`GET /v1beta/models`. Raises Unreadable."""
    for row in listings.listed(listings.table(body, "Google").get("models"), "Google"):
        if "generateContent" in (row.get("supportedGenerationMethods") or ()):
            yield Listing(
                source="Google",
                vendor="google",
                name=str(row.get("name", "")).removeprefix("models/"),
                title=str(row.get("displayName") or ""),
                context=listings.whole(row.get("inputTokenLimit")),
                max_output=listings.whole(row.get("outputTokenLimit")),
            )


def _second(value: Any) -> date | None:
    """Of seconds since 1970."""
    if not isinstance(value, int) or not 0 < value < 10**11:
        return None
    return datetime.fromtimestamp(value, UTC).date()


Reader = Callable[[Any], Iterator[Listing]]
