"""Asking addresses that somebody else has named: a customer's webhook, a team's provider.

Whoever chooses an address may mean one of ours, so it is treated as an attack: the resolved
address decides and is what is connected to, redirects are not followed, size and time are bounded,
and nothing of the environment (proxies, credentials) goes along.
"""

import ipaddress
import socket
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import httpx
from django.utils.translation import gettext, gettext_noop

from hontoni import deadlines
from hontoni.internet import is_public


class Failed(Exception):
    """It was not asked, or did not answer; the words say how, behind a subject. They are English,
    for logs and APIs; `in_words` says them to a reader."""

    def __init__(self, words: str, **about: object) -> None:
        super().__init__(words % about if about else words)
        self.template, self.about = words, about

    def in_words(self) -> str:
        said = gettext(self.template)
        return said % self.about if self.about else said


class Answer(NamedTuple):
    """What came back; `body` at most as long as was wanted, `whole` if that is all of it."""

    status: int
    body: bytes
    whole: bool


def check(url: str, *, private: bool = False) -> SplitResult:
    """The parts of an address that may be asked, as far as its text tells. `private`: it may be in
    our own network, without TLS. Raises Failed."""
    parts = urlsplit(url)
    try:
        fine = parts.scheme in (("https", "http") if private else ("https",))
        fine = fine and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.username or parts.password or parts.fragment:
        raise Failed(gettext_noop("is no https address"))
    if not private and not _written_public(str(parts.hostname)):
        raise Failed(gettext_noop("is not on the public internet"))
    return parts


def _written_public(host: str) -> bool:
    """A name may be; of an address that is written out it shows."""
    try:
        return is_public(host)
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def ask(
    method: str,
    url: str,
    *,
    private: bool = False,
    seconds: float = 10.0,
    most_bytes: int = 4_096,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Answer:
    """What the address answers with, whatever the status. Raises Failed."""
    parts = check(url, private=private)
    host = str(parts.hostname)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port, private=private)
    where = f"[{address}]" if ":" in address else address
    connected = parts._replace(netloc=f"{where}:{port}").geturl()
    # What is packed is not unpacked: a small answer may be a large one.
    named = {"Host": parts.netloc, "Accept-Encoding": "identity", **(headers or {})}
    try:
        with (
            httpx.Client(
                transport=deadlines.Transport(seconds), follow_redirects=False, trust_env=False
            ) as client,
            client.stream(
                method, connected, headers=named, extensions={"sni_hostname": host}, **more
            ) as answer,
        ):
            body, whole = _read(answer, most_bytes)
            return Answer(answer.status_code, body, whole)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Failed(gettext_noop("does not answer")) from error


def _read(answer: httpx.Response, most: int) -> tuple[bytes, bool]:
    """Its first bytes; of a body that drips, those that came in time."""
    body = b""
    try:
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > most:
                return body[:most], False
    except httpx.TimeoutException:
        return body, False
    return body, True


def _address(host: str, port: int, *, private: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failed(gettext_noop("has no address")) from error
    addresses = [str(each[4][0]) for each in found]
    if not private and not all(map(_is_fine, addresses)):
        raise Failed(gettext_noop("is not on the public internet"))
    return addresses[0]


def _is_fine(address: str) -> bool:
    try:
        return is_public(address)
    except ipaddress.AddressValueError:
        return False
