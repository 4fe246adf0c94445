"""Images and documents a request only points at, for vendors that want their bytes.

The customer chooses the address, so it is treated as an attack: only addresses of the public
internet are ever connected to (the resolved one decides, on every redirect anew), the size of
each and of all together and the time are limited, no credential and no cookie goes along.
"""

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from django.conf import settings
from yarl import URL

from hontoni.errors import ApiError, BadRequest
from hontoni.internet import is_public as is_public

MOST_BYTES = 20 * 1024 * 1024
MOST_SECONDS = 15
_MOST_URLS = 20
_MOST_REDIRECTS = 3
_CHUNK = 2**16
_REDIRECTS = (301, 302, 303, 307, 308)


class _Guard(AbstractResolver):
    """Resolves names to public addresses only: what is checked is what is connected to."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if is_public(each["host"])]
        if not public:
            raise OSError(f"{host} is not on the public internet")
        return public

    async def close(self) -> None:
        await self._resolver.close()


class Fetched:
    """What one request's files have come to. `taken` is told of every piece, as base64."""

    def __init__(self, taken: Callable[[int], None]) -> None:
        self.left: int = settings.MAX_FETCHED_BYTES
        self.taken = taken

    def add(self, size: int) -> None:
        """Raises BadRequest when they are too many."""
        self.left -= size
        if self.left < 0:
            most = settings.MAX_FETCHED_BYTES // 1024 // 1024
            raise BadRequest(
                f"What this request points at is more than {most} MB in all.",
                code="invalid_image_url",
            )
        self.taken(-(-size * 4 // 3))


async def fetch_all(
    urls: Iterable[str], taken: Callable[[int], None] = lambda size: None
) -> dict[str, tuple[str, str]]:
    """Each URL's (media type, base64). Raises BadRequest (400) for one that cannot be had, and
    what `taken` raises, which is told how many bytes more are held."""
    wanted = list(urls)
    if len(wanted) > _MOST_URLS:
        raise BadRequest(f"At most {_MOST_URLS} images or documents can be fetched by URL.")
    connector = aiohttp.TCPConnector(resolver=_Guard(), use_dns_cache=False, limit=4)
    fetched = Fetched(taken)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=MOST_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "hontoni"},
    ) as session:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_fetch(session, url, fetched)) for url in wanted]
        except* ApiError as failed:
            raise failed.exceptions[0] from None
    return {url: task.result() for url, task in zip(wanted, tasks, strict=True)}


async def _fetch(session: aiohttp.ClientSession, url: str, fetched: Fetched) -> tuple[str, str]:
    try:
        return await _follow(session, URL(url), fetched)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        raise BadRequest(
            f"The URL {url[:200]!r} could not be fetched: it must be a public http or https "
            f"address that answers within {MOST_SECONDS} seconds with at most "
            f"{MOST_BYTES // 1024 // 1024} MB.",
            code="invalid_image_url",
        ) from None


async def _follow(session: aiohttp.ClientSession, url: URL, fetched: Fetched) -> tuple[str, str]:
    for _ in range(_MOST_REDIRECTS + 1):
        _check(url)
        async with session.get(url, allow_redirects=False) as reply:
            if reply.status in _REDIRECTS:
                url = url.join(URL(reply.headers.get("Location", "")))
                continue
            if reply.status != 200:
                raise ValueError(f"HTTP {reply.status}")
            parts = await _read(reply, fetched)
            return reply.content_type, await asyncio.to_thread(_encoded, parts)
    raise ValueError("too many redirects")


def _check(url: URL) -> None:
    """An address in the URL itself meets no resolver."""
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("no http address")
    try:
        address: Any = ipaddress.ip_address(url.host)
    except ValueError:
        return
    if not is_public(str(address)):
        raise OSError(f"{address} is not on the public internet")


async def _read(reply: aiohttp.ClientResponse, fetched: Fetched) -> list[bytes]:
    parts, size = [], 0
    async for chunk in reply.content.iter_chunked(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise ValueError("too large")
        fetched.add(len(chunk))
    return parts


def _encoded(parts: list[bytes]) -> str:
    whole = b"".join(parts)
    parts.clear()
    return base64.b64encode(whole).decode()
