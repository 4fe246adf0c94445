"""A credential in use: where it is taken, and how we introduce ourselves there.

A key is a header of every request, made once. What is made anew (a signature of each request, a
token of an hour) is a proof: it goes in front of the request when that is sent. Nothing of it
waits for the network on a request's way but the very first token of a process.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import orjson

from gateway.dialects.ir import Failed
from gateway.vendors.breaker import Breaker
from gateway.vendors.http_client import Origin
from gateway.vendors.manners import Hosting, beta_in_body

Headers = Mapping[bytes, bytes]

_DEFAULT_ANTHROPIC_VERSION = b"2023-06-01"
_BETA = b"anthropic-beta"
_ALWAYS = {
    b"content-type": b"application/json",
    b"user-agent": b"hontoni",
    b"accept": b"*/*",
    b"accept-encoding": b"identity",
}
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")


class Proof(Protocol):
    """What shows who we are, where no header can stay the same."""

    async def headers(self, url: str, headers: Headers, body: bytes) -> Headers:
        """Those to add to a request. Raises UpstreamFailed."""

    def due(self) -> bool:
        """Whether it is time to renew it, ahead of its end."""

    async def renew(self) -> None:
        """Do so. Raises UpstreamFailed."""

    def refused(self) -> None:
        """The vendor did not take it, whatever it says about itself."""


@dataclass(slots=True, eq=False)
class Access:
    """`credential` is its id in the database, None for the environment's; `marked_at` when staff
    were last told that it is refused, by the monotonic clock. `own_key` is the id of a customer's
    own, `failures` what became of it last, by model, and `project` the one to ask in place of the
    provider's, of a cloud whose paths name it."""

    label: str
    origin: Origin
    prefix: str
    headers: dict[bytes, bytes]
    credential: int | None = None
    proof: Proof | None = None
    hosting: str = ""
    own_key: int | None = None
    project: tuple[str, str] | None = None
    failures: dict[str, Failed] = field(default_factory=dict)
    marked_at: float = -math.inf
    _heads: dict[str, bytes] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether a request goes as it is, with the same headers as all others."""
        return self.proof is None and self.hosting != Hosting.BEDROCK

    def head(self, path: str, extra: Headers) -> bytes:
        """The first line and the headers of a request, with `extra` (names in lower case) over
        our own. Built once a path where there are none."""
        if extra:
            return self._head(path, {**self.headers, **extra})
        if path not in self._heads:
            self._heads[path] = self._head(path, self.headers)
        return self._heads[path]

    def _head(self, path: str, headers: Headers) -> bytes:
        lines = [b"%b: %b\r\n" % header for header in headers.items()]
        return b"POST %b HTTP/1.1\r\n%b" % ((self.prefix + path).encode(), b"".join(lines))

    async def introduced(self, path: str, extra: Headers, body: bytes) -> tuple[bytes, bytes]:
        """Head and body of a request that does not go as it is. Raises UpstreamFailed."""
        path = self._in_project(path)
        if self.hosting == Hosting.BEDROCK:
            extra, body = _without_beta(extra, body)
        if self.proof is None:
            return self.head(path, extra), body
        headers = {**self.headers, **extra}
        proven = await self.proof.headers(self.url(path), headers, body)
        return self._head(path, {**headers, **proven}), body

    def _in_project(self, path: str) -> str:
        if self.project is None:
            return path
        theirs, own = self.project
        return path.replace(f"/projects/{theirs}/", f"/projects/{own}/", 1)

    def url(self, path: str) -> str:
        path = self._in_project(path)
        scheme = "https" if self.origin.tls else "http"
        return f"{scheme}://{self.headers[b'host'].decode()}{self.prefix}{path}"

    def breaker(self, model: str) -> Breaker:
        return self._breakers.setdefault(model, Breaker())


def _without_beta(extra: Headers, body: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Bedrock takes Claude's switches in the body, knows only some of them, and refuses others."""
    kept = {name: value for name, value in extra.items() if not name.startswith(b"anthropic-")}
    flags = [flag.strip() for flag in extra.get(_BETA, b"").decode("latin-1").split(",")]
    if known := [flag for flag in flags if beta_in_body(flag)]:
        at = body.index(b"{") + 1
        body = b'%b"anthropic_beta":%b,%b' % (body[:at], orjson.dumps(known), body[at:])
    return kept, body


def introduce(
    label: str,
    vendor: str,
    base_url: str,
    secret: str,
    credential: int | None = None,
    *,
    auth: str = "",
    hosting: str = "",
    dialect: str = "",
    region: str = "",
) -> Access:
    """With what goes with every request. The URL may end in /v1 or not; `secret` is as its `auth`
    wants it (secrets.py). Raises ValueError for a secret that cannot be one."""
    secret, url = secret.strip(), urlsplit(_root(base_url, hosting))
    headers = {b"host": url.netloc.rpartition("@")[2].encode("idna"), **_ALWAYS}
    if _is_claudish(vendor, dialect) and not hosting:
        headers[b"anthropic-version"] = _DEFAULT_ANTHROPIC_VERSION
    auth = auth or usual(vendor, hosting, dialect)
    proof = None
    if auth == "bearer":
        headers[b"authorization"] = b"Bearer " + secret.encode()
    elif auth in _KEY_HEADERS:
        headers[auth.encode()] = secret.encode()
    elif auth != "none":
        proof = _proof(auth, secret, region)
    tls = url.scheme == "https"
    origin = Origin(url.hostname or "", url.port or (443 if tls else 80), tls)
    return Access(label, origin, url.path, headers, credential, proof, hosting)


def _root(base_url: str, hosting: str) -> str:
    """An address without what the paths begin with."""
    root = base_url.strip().rstrip("/")
    if hosting in (Hosting.AZURE, Hosting.AZURE_V1):
        return root.removesuffix("/v1").removesuffix("/openai")
    return root.removesuffix("/v1beta").removesuffix("/v1").rstrip("/")


def _is_claudish(vendor: str, dialect: str) -> bool:
    return dialect == "anthropic_messages" or (vendor == "anthropic" and not dialect)


def usual(vendor: str, hosting: str, dialect: str) -> str:
    """How a key is shown where staff say nothing else."""
    if hosting in (Hosting.AZURE, Hosting.AZURE_V1):
        return "api-key"
    if hosting == Hosting.BEDROCK:
        return "bearer"
    if _is_claudish(vendor, dialect):
        return "x-api-key"
    return "x-goog-api-key" if vendor == "google" or dialect == "gemini" else "bearer"


def _proof(auth: str, secret: str, region: str) -> Proof:
    """Each in a module of its own: their libraries are read only where they are needed."""
    if auth == "sigv4":
        from gateway.vendors.sigv4 import SigV4

        return SigV4(secret, region)
    from gateway.vendors.tokens import Token, entra, service_account

    return Token(entra(secret) if auth == "entra" else service_account(secret))
