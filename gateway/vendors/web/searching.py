"""A search of the web, by the providers that staff keep.

Guarded as whatever a customer can cause us to ask: of its address only what it resolves to is
connected to, and only if that is public, or staff have said that it is in our own network; no
redirect is followed, no cookie kept; time and size are limited.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from gateway.vendors import loading, vault
from gateway.vendors.web.models import SearchProvider, Shape
from hontoni.freshness import Kept

if TYPE_CHECKING:
    import aiohttp

MAX_AGE_SECONDS = 5.0
_SECONDS = 8.0
_MOST_BYTES = 2 * 1024 * 1024
_MOST_QUERY, _MOST_WORDS = 400, 50  # Brave refuses more
_MOST_SITES = 5  # said in the query itself; the others are sorted out afterwards
_TAGS = re.compile(r"<[^>]{0,200}>")

UNAVAILABLE, TOO_MANY, TOO_LONG = "unavailable", "too_many_requests", "query_too_long"


class Failed(Exception):
    """Nothing came of it; `code` is Anthropic's word for why, `detail` for staff."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Provider:
    """One of them as it is asked. `key` is in clear."""

    name: str
    shape: str
    url: str
    key: str
    internal: bool
    results: int


@dataclass(frozen=True, slots=True)
class Found:
    """A page that was found."""

    url: str
    title: str
    text: str
    age: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: only on these sites or not on those, from somewhere."""

    query: str
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    country: str = ""


def of(row: SearchProvider) -> Provider:
    """As it is asked. Raises ValueError for a key that cannot be used there."""
    if row.sealed and row.entered_for != row.home:
        raise ValueError(f"its key was entered for {row.entered_for}")
    key = vault.unseal(row.sealed) if row.sealed else ""
    return Provider(row.name, row.shape, row.url, key, row.internal, row.results)


def _read() -> tuple[Provider, ...]:
    found = []
    for row in SearchProvider.objects.filter(active=True):
        try:
            found.append(of(row))
        except ValueError:
            continue  # it says so in the admin
    return tuple(found)


_kept = Kept(_read)


def forget() -> None:
    """Read them anew with the next search."""
    _kept.forget()


async def search(wanted: Wanted) -> list[Found]:
    """What the first provider that answers has found. Raises Failed, Unavailable."""
    failed = Failed(UNAVAILABLE, "there is no search provider")
    for provider in await _kept.get(MAX_AGE_SECONDS):
        try:
            return await ask(provider, wanted)
        except Failed as problem:
            failed = problem
    raise failed


async def ask(provider: Provider, wanted: Wanted) -> list[Found]:
    """What one of them finds. Raises Failed."""
    if not wanted.query.strip():
        raise Failed("invalid_tool_input", "an empty query")
    if len(wanted.query) > _MOST_QUERY or len(wanted.query.split()) > _MOST_WORDS:
        raise Failed(TOO_LONG, "a query of more than 400 characters or 50 words")
    path, params, headers = _request(provider, wanted)
    await loading.fetching()
    from gateway.vendors import fetching

    try:
        async with fetching.guarded(_SECONDS, internal=provider.internal) as session:
            reply = session.get(
                provider.url + path, params=params, headers=headers, allow_redirects=False
            )
            async with reply as answer:
                body = await _whole(answer)
    except fetching.ERRORS as error:
        raise Failed(UNAVAILABLE, f"not reached: {type(error).__name__}") from None
    if answer.status == 429:
        raise Failed(TOO_MANY, "429")
    if answer.status != 200:
        raise Failed(UNAVAILABLE, f"{answer.status} {_words(body)}".strip())
    return _sorted_out(_parsed(provider.shape, body), wanted)[: provider.results]


def _request(provider: Provider, wanted: Wanted) -> tuple[str, dict[str, str], dict[str, str]]:
    query = _with_sites(wanted)
    headers = {"Accept": "application/json"}
    if provider.shape == Shape.BRAVE:
        params = {"q": query, "count": str(provider.results)}
        if wanted.country:
            params["country"] = wanted.country
        return "/res/v1/web/search", params, headers | {"X-Subscription-Token": provider.key}
    if provider.key:
        headers["Authorization"] = f"Bearer {provider.key}"
    return "/search", {"q": query, "format": "json"}, headers


def _with_sites(wanted: Wanted) -> str:
    """The query with what engines understand of the sites; what they overlook is sorted out."""
    sites = [f"site:{each}" for each in wanted.allowed]
    if len(sites) > _MOST_SITES:
        sites = []
    said = " OR ".join(sites)
    parts = [wanted.query, f"({said})" if len(sites) > 1 else said]
    parts += [f"-site:{each}" for each in wanted.blocked[:_MOST_SITES]]
    whole = " ".join(part for part in parts if part)
    fits = len(whole) <= _MOST_QUERY and len(whole.split()) <= _MOST_WORDS
    return whole if fits else wanted.query


async def _whole(answer: "aiohttp.ClientResponse") -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(2**16):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("too large")
    return bytes(body)


def _words(body: bytes) -> str:
    """What it says about what went wrong, briefly."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error = told.get("error") if isinstance(told, dict) else None
    detail = error.get("detail") if isinstance(error, dict) else error
    return str(detail or "")[:200]


def _parsed(shape: str, body: bytes) -> list[Found]:
    try:
        told = orjson.loads(body)
        return [_SHAPES[shape](each) for each in _listed(shape, told) if each.get("url")]
    except (orjson.JSONDecodeError, AttributeError, TypeError) as error:
        raise Failed(UNAVAILABLE, f"an answer that is none: {type(error).__name__}") from None


def _listed(shape: str, told: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if shape == Shape.BRAVE:
        return (told.get("web") or {}).get("results") or ()
    return told.get("results") or ()


def _searxng(result: Mapping[str, Any]) -> Found:
    return Found(
        url=str(result["url"]),
        title=_text(result.get("title")),
        text=_text(result.get("content")),
        age=str(result.get("publishedDate") or "")[:40],
    )


def _brave(result: Mapping[str, Any]) -> Found:
    extra = result.get("extra_snippets") or ()
    said = [result.get("description"), *extra]
    return Found(
        url=str(result["url"]),
        title=_text(result.get("title")),
        text="\n".join(text for each in said if (text := _text(each))),
        age=str(result.get("age") or result.get("page_age") or "")[:40],
    )


_SHAPES: dict[str, Callable[[Mapping[str, Any]], Found]] = {
    Shape.BRAVE: _brave,
    Shape.SEARXNG: _searxng,
}


def _text(raw: Any) -> str:
    """Without the tags by which engines mark what was looked for."""
    return html.unescape(_TAGS.sub("", str(raw or ""))).strip()


# -- Sites ---------------------------------------------------------------------------------------


def _sorted_out(found: Iterable[Found], wanted: Wanted) -> list[Found]:
    return [each for each in found if permitted(each.url, wanted.allowed, wanted.blocked)]


def permitted(url: str, allowed: Iterable[str], blocked: Iterable[str]) -> bool:
    """Whether a page may be looked at: a domain means its sub-domains as well, and may name the
    beginning of a path."""
    sites = tuple(allowed)
    if sites and not any(_is_on(url, site) for site in sites):
        return False
    return url.startswith(("http://", "https://")) and not any(_is_on(url, b) for b in blocked)


def _is_on(url: str, site: str) -> bool:
    host, _, path = site.lower().partition("//")[2 if "//" in site else 0].partition("/")
    where, _, rest = url.lower().partition("://")[2].partition("/")
    where = where.rpartition("@")[2].partition(":")[0]
    host = host.removeprefix("www.")
    there = where.removeprefix("www.")
    same = there == host or there.endswith(f".{host}")
    return bool(host) and same and (not path or f"/{rest}".startswith(f"/{path}"))
