"""Fetching what a team has named: JSON over HTTPS, from the public internet only.

A team chooses the address, so it is treated as an attack: the resolved address decides and is what
is connected to, redirects are not followed, size and time are bounded.
"""

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from hontoni import errors
from hontoni.internet import is_public

_SECONDS = 10.0
_MOST_BYTES = 512 * 1024


def check(url: str) -> str:
    """An address that may be asked, as it is written. Raises BadRequest."""
    parts = urlsplit(url)
    allowed = ("https", "http") if settings.SIGN_ON_PRIVATE_NETWORKS else ("https",)
    try:
        fine = parts.scheme in allowed and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.username or parts.password or parts.fragment:
        raise errors.BadRequest("This is not an https address.", code="provider_address")
    return url


def get(url: str, **headers: str) -> Any:
    """What is there. Raises BadRequest in words for the team's owner."""
    return _ask("GET", url, headers=headers)


def post(url: str, data: dict[str, str], auth: tuple[str, str] | None = None) -> Any:
    return _ask("POST", url, data=data, auth=auth)


def _ask(method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    parts = urlsplit(check(url))
    host = str(parts.hostname)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port)
    where = f"[{address}]" if ":" in address else address
    connected = parts._replace(netloc=f"{where}:{port}").geturl()
    named = {"Host": parts.netloc, "Accept": "application/json", **(headers or {})}
    try:
        with (
            httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream(
                method, connected, headers=named, extensions={"sni_hostname": host}, **more
            ) as answer,
        ):
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise _failed("sends too much")
            if answer.status_code != 200:
                raise _failed(f"answers {answer.status_code}")
            return httpx.Response(200, content=body).json()
    except httpx.HTTPError as error:
        raise _failed("does not answer") from error
    except ValueError as error:
        raise _failed("sends no JSON") from error


def _address(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _failed("has no address") from error
    addresses = [str(each[4][0]) for each in found]
    if not settings.SIGN_ON_PRIVATE_NETWORKS and not all(map(_is_fine, addresses)):
        raise _failed("is not on the public internet")
    return addresses[0]


def _is_fine(address: str) -> bool:
    try:
        return is_public(address)
    except ipaddress.AddressValueError:
        return False


def _failed(how: str) -> errors.BadRequest:
    return errors.BadRequest(f"The team's provider {how}.", code="provider_failed")
