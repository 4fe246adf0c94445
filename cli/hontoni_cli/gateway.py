"""A gateway, spoken to as anybody does: HTTP and JSON."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

SECONDS = 60
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Failed(Exception):
    """What is shown to the person; `code` is the gateway's own, if it answered."""

    def __init__(self, words: str, code: str = "", status: int = 0) -> None:
        super().__init__(words)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Answer:
    content: Any
    headers: Mapping[str, str]


class _Stays(urllib.request.HTTPRedirectHandler):
    """A redirection would take the token elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_Stays)


def origin(url: str) -> str:
    """The address of a gateway as people type it: with or without a path. Raises Failed for one
    that would show a token to whoever listens."""
    try:
        parts = urlsplit(url if "//" in url else f"https://{url}")
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username or parts.password:
        raise Failed(f"{url} is no address of a gateway, such as https://gateway.example.")
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise Failed(f"{url} is not encrypted: say https://.")
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class Gateway:
    """At an address, with a token or a key."""

    url: str
    token: str = ""

    def get(self, path: str, **query: Any) -> Any:
        named = {name: value for name, value in query.items() if value is not None}
        return self.ask("GET", f"{path}?{urlencode(named)}" if named else path).content

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        given = {"Content-Type": "application/json", **(headers or {})}
        return self.ask("POST", path, json.dumps(body).encode(), given)

    def form(self, path: str, **fields: str) -> Any:
        return self.ask("POST", path, urlencode(fields).encode()).content

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Raises Failed, in the gateway's own words where it has some."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("User-Agent", "hontoni-cli/0.1")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with _opener.open(request, timeout=SECONDS) as reply:
                return Answer(self._content(reply.read()), reply.headers)
        except urllib.error.HTTPError as error:
            raise _failed(error) from None
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise Failed(f"{self.url} does not answer: {reason}") from None

    def _content(self, raw: bytes) -> Any:
        """Raises Failed for a page: of a proxy that wants a sign-in, of something else there."""
        try:
            return json.loads(raw) if raw else {}
        except ValueError:
            raise Failed(
                f"{self.url} answers, but not as a gateway does: is the address right, or does a "
                "proxy on the way want you to sign in?"
            ) from None


def _failed(error: urllib.error.HTTPError) -> Failed:
    try:
        content = json.loads(error.read())
    except (OSError, ValueError, HTTPException):
        content = {}
    shown = content.get("error") if isinstance(content, dict) else None
    if isinstance(shown, dict):
        return Failed(str(shown.get("message")), str(shown.get("code")), error.code)
    if isinstance(shown, str):  # OAuth's way
        return Failed(str(content.get("error_description", shown)), shown, error.code)
    place = error.headers.get("Location") if error.headers else None
    elsewhere = f" and sends us to {place[:100]}" if place else ""
    return Failed(f"It answered {error.code}{elsewhere}.", status=error.code)
