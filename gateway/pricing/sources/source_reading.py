"""All sources, fetched from their addresses or read from the copies in `data/`.

A source that is away, too large or not of its shape is left out and named; the others count.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
from django.conf import settings

from gateway.pricing.sources import announced, litellm, models_dev, openrouter, vendors
from gateway.pricing.sources.listings import Listing, Unreadable

logger = logging.getLogger(__name__)

COPIES = Path(__file__).with_name("data")
_MOST_BYTES = 32 * 1024 * 1024
_SECONDS = 30.0


class Source(NamedTuple):
    """`file` is its name among the copies, `headers` what it wants to be asked with; None where
    it cannot be asked."""

    name: str
    file: str
    url: str
    read: Callable[[Any], Iterator[Listing]]
    headers: Callable[[], dict[str, str] | None]


def _openly() -> dict[str, str]:
    return {}


def _nowhere() -> None:
    return None


def _openai() -> dict[str, str] | None:
    key = settings.OPENAI_API_KEY
    return {"Authorization": f"Bearer {key}"} if key else None


def _anthropic() -> dict[str, str] | None:
    key = settings.ANTHROPIC_API_KEY
    return {"x-api-key": key, "anthropic-version": "2023-06-01"} if key else None


def _google() -> dict[str, str] | None:
    key = settings.GEMINI_API_KEY
    return {"x-goog-api-key": key} if key else None


def sources() -> tuple[Source, ...]:
    """Each with its address here."""
    openai, anthropic, google = (
        getattr(settings, f"{vendor}_BASE_URL").rstrip("/").removesuffix("/v1")
        for vendor in ("OPENAI", "ANTHROPIC", "GEMINI")
    )
    return (
        Source(models_dev.NAME, "models.dev.json", models_dev.URL, models_dev.read, _openly),
        Source(litellm.NAME, "litellm.json", litellm.URL, litellm.read, _openly),
        Source(openrouter.NAME, "openrouter.json", openrouter.URL, openrouter.read, _openly),
        Source(announced.NAME, "announced.json", "", announced.read, _nowhere),
        Source("OpenAI", "openai.json", f"{openai}/v1/models", vendors.openai, _openai),
        Source(
            "Anthropic",
            "anthropic.json",
            f"{anthropic}/v1/models?limit=1000",
            vendors.anthropic,
            _anthropic,
        ),
        Source(
            "Google",
            "google.json",
            f"{google}/v1beta/models?pageSize=1000",
            vendors.google,
            _google,
        ),
    )


def read(*, offline: bool) -> tuple[list[Listing], list[str]]:
    """What all of them say, and what was wrong with those that are missing."""
    found: list[Listing] = []
    problems = []
    for source in sources():
        try:
            body = _copy(source) if offline else _fetched(source)
            if body is not None:
                found += source.read(body)
        except (OSError, httpx.HTTPError, orjson.JSONDecodeError, Unreadable) as error:
            logger.warning("catalogue.source_failed %s: %s", source.name, error)
            problems.append(f"{source.name}: {error or type(error).__name__}")
    return found, problems


def _copy(source: Source) -> Any:
    return orjson.loads((COPIES / source.file).read_bytes())


def _fetched(source: Source) -> Any:
    """None from a vendor for whom there is no key."""
    mirror = settings.CATALOGUE_MIRROR.rstrip("/")
    headers = {} if mirror else source.headers()
    if headers is None:
        return None
    url = f"{mirror}/{source.file}" if mirror else source.url
    parts, size = [], 0
    with httpx.stream(
        "GET", url, headers=headers, timeout=_SECONDS, follow_redirects=not headers
    ) as answer:
        answer.raise_for_status()
        for part in answer.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > _MOST_BYTES:
                raise Unreadable("it is larger than 32 MiB")
    return orjson.loads(b"".join(parts))
