"""What is sealed of a credential, by how it is shown: a key is a line of text, and what has parts
is JSON of them. Staff type parts into fields; nobody types JSON but Google, who makes a file."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

AUTHORITY = "https://login.microsoftonline.com"


def _fields(text: str) -> dict[str, Any]:
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise ValueError("This credential has parts: enter them again.")
    return given


def _is_safe(url: str) -> bool:
    """Whether a secret may be sent there: never in clear, but to this machine."""
    found = urlsplit(url)
    local = found.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(found.hostname) and (found.scheme == "https" or (found.scheme == "http" and local))


@dataclass(frozen=True, slots=True)
class AccessKey:
    """AWS's; a session token where it is one for a while."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    @classmethod
    def parse(cls, text: str) -> "AccessKey":
        """Raises ValueError."""
        given = _fields(text)
        names = ("access_key_id", "secret_access_key")
        if not all(isinstance(given.get(name), str) and given[name] for name in names):
            raise ValueError("An AWS credential needs an access key id and its secret.")
        return cls(given[names[0]], given[names[1]], given.get("session_token") or None)

    def text(self) -> str:
        return orjson.dumps(asdict(self)).decode()


@dataclass(frozen=True, slots=True)
class Application:
    """Of Microsoft Entra, that signs in with a secret of its own."""

    tenant: str
    client_id: str
    client_secret: str
    authority: str = AUTHORITY

    @classmethod
    def parse(cls, text: str) -> "Application":
        """Raises ValueError."""
        given = _fields(text)
        names = ("tenant", "client_id", "client_secret")
        if not all(isinstance(given.get(name), str) and given[name] for name in names):
            raise ValueError("An Entra application needs its tenant, client id and secret.")
        authority = str(given.get("authority") or AUTHORITY).rstrip("/")
        if not _is_safe(authority):
            raise ValueError("The authority must be reached by https.")
        return cls(given[names[0]], given[names[1]], given[names[2]], authority)

    def text(self) -> str:
        return orjson.dumps(asdict(self)).decode()


def service_account(text: str) -> dict[str, Any]:
    """The file that Google makes of a service account's key. Raises ValueError."""
    given = _fields(text)
    needed = ("client_email", "private_key", "token_uri")
    if given.get("type") != "service_account" or not all(given.get(name) for name in needed):
        raise ValueError("This is not the JSON file of a service account's key.")
    if not _is_safe(str(given["token_uri"])):
        raise ValueError("The token_uri must be reached by https.")
    return given


def check(auth: str, text: str) -> None:
    """Raises ValueError for a secret that its scheme cannot use."""
    if auth == "sigv4":
        AccessKey.parse(text)
    elif auth == "entra":
        Application.parse(text)
    elif auth == "service_account":
        service_account(text)
