"""Images and documents a request only points at, for vendors that want their bytes.

The customer chooses the address, so it is treated as an attack: only addresses of the public
internet are ever connected to (the resolved one decides, on every redirect anew), the size and
the time are limited, no credential and no cookie goes along.
"""

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from hontoni.errors import BadRequest

MOST_BYTES = 20 * 1024 * 1024
MOST_SECONDS = 15
_MOST_URLS = 20
_MOST_REDIRECTS = 3
_CHUNK = 2**16
_REDIRECTS = (301, 302, 303, 307, 308)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's, also where it is written as IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = None
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    return ip.is_global and not ip.is_multicast and (inner is None or is_public(str(inner)))


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


async def fetch_all(urls: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Each URL's (media type, base64). Raises BadRequest (400) for one that cannot be had."""
    wanted = list(urls)
    if len(wanted) > _MOST_URLS:
        raise BadRequest(f"At most {_MOST_URLS} images or documents can be fetched by URL.")
    connector = aiohttp.TCPConnector(resolver=_Guard(), use_dns_cache=False, limit=4)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=MOST_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "hontoni"},
    ) as session:
        fetched = await asyncio.gather(*(_fetch(session, url) for url in wanted))
    return dict(zip(wanted, fetched, strict=True))


async def _fetch(session: aiohttp.ClientSession, url: str) -> tuple[str, str]:
    try:
        return await _follow(session, URL(url))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        raise BadRequest(
            f"The URL {url[:200]!r} could not be fetched: it must be a public http or https "
            f"address that answers within {MOST_SECONDS} seconds with at most "
            f"{MOST_BYTES // 1024 // 1024} MB.",
            code="invalid_image_url",
        ) from None


async def _follow(session: aiohttp.ClientSession, url: URL) -> tuple[str, str]:
    for _ in range(_MOST_REDIRECTS + 1):
        _check(url)
        async with session.get(url, allow_redirects=False) as reply:
            if reply.status in _REDIRECTS:
                url = url.join(URL(reply.headers.get("Location", "")))
                continue
            if reply.status != 200:
                raise ValueError(f"HTTP {reply.status}")
            return reply.content_type, base64.b64encode(await _read(reply)).decode()
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


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for chunk in reply.content.iter_chunked(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise ValueError("too large")
    return b"".join(parts)
