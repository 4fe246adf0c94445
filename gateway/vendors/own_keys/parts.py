"""What a customer enters of a key, by how its provider wants it shown.

A key of one line is that line. What has parts is entered in them, and sealed as JSON of them; of
Google it is the file that Google makes. Whatever in it names an address is checked: a secret, and
what is signed with it, is sent to its provider and to that vendor's own issuer of tokens alone.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import orjson

from gateway.vendors import secrets
from gateway.vendors.manners import Hosting
from gateway.vendors.models import Auth, Provider
from gateway.vendors.secrets import AccessKey
from hontoni.errors import BadRequest

SHORTEST, LONGEST = 16, 1_000
MOST_FILE = 20_000  # characters of a service account's key
_SHOWN = 8  # characters, and never more than a third of a key
_GOOGLES = "https://oauth2.googleapis.com/token"
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,62}")
_RESOURCE = re.compile(r"[a-z0-9][a-z0-9-]{1,62}", re.IGNORECASE)
_AZURE = (Hosting.AZURE, Hosting.AZURE_V1)
IMPOSSIBLE = (
    "A Microsoft Entra application signs in at a directory of its own, which is not asked on a "
    "customer's behalf: enter the API key of your resource, where that is offered."
)

LINE, ACCESS_KEY, FILE, RESOURCE = "key", "access_key", "service_account", "resource"
NAMES: dict[str, tuple[str, ...]] = {
    LINE: ("secret",),
    ACCESS_KEY: ("access_key_id", "secret_access_key", "session_token"),
    FILE: ("service_account",),
    RESOURCE: ("resource", "secret"),
}
_OPTIONAL = ("session_token",)
_BOUNDS = {
    "resource": (1, 63),
    "access_key_id": (8, 128),
    "session_token": (SHORTEST, 4_000),
    "service_account": (1, MOST_FILE),
}


class Entered(NamedTuple):
    """What is sealed, and what of it may be shown."""

    text: str
    shown: str


def kind(provider: Provider) -> str:
    """In which parts its keys are entered. Raises BadRequest where no key can be."""
    if provider.auth == Auth.ENTRA:
        raise BadRequest(IMPOSSIBLE, param="provider")
    if provider.auth == Auth.SIGV4:
        return ACCESS_KEY
    if provider.auth == Auth.SERVICE_ACCOUNT:
        return FILE
    return RESOURCE if provider.hosting in _AZURE else LINE


def sound(provider: Provider, given: Mapping[str, str]) -> Entered:
    """What was entered, without what surrounds it. Raises BadRequest for what is no key there."""
    which = kind(provider)
    parts = {name: value.strip() for name, value in given.items() if value and value.strip()}
    if unknown := set(parts) - set(NAMES[which]):
        raise BadRequest(
            f"A key for {provider.name} has no {', '.join(sorted(unknown))}: it is "
            f"{', '.join(NAMES[which])}.",
            param=min(unknown),
        )
    for name in NAMES[which]:
        if name not in parts and name not in _OPTIONAL:
            raise BadRequest(f"A key for {provider.name} needs its {name}.", param=name)
    if which == FILE:
        return _file(provider, parts["service_account"])
    for name, value in parts.items():
        _check_line(name, value)
    if which == ACCESS_KEY:
        key = AccessKey(
            parts["access_key_id"], parts["secret_access_key"], parts.get("session_token")
        )
        return Entered(key.text(), parts["access_key_id"][:_SHOWN])
    secret = parts["secret"]
    shown = secret[: min(_SHOWN, len(secret) // 3)]
    if which == LINE:
        return Entered(secret, shown)
    if not _RESOURCE.fullmatch(parts["resource"]):
        raise BadRequest("The name of a resource, and no address.", param="resource")
    return Entered(orjson.dumps(parts).decode(), shown)


def _check_line(name: str, value: str) -> None:
    if any(not "!" <= letter <= "~" for letter in value):
        raise BadRequest("A key has no spaces and no letters beyond ASCII.", param=name)
    shortest, longest = bounds(name)
    if not shortest <= len(value) <= longest:
        words = f"A vendor's key has {shortest} to {longest} characters."
        raise BadRequest(words, param=name)


def bounds(name: str) -> tuple[int, int]:
    """How few, and how many, characters a part has."""
    return _BOUNDS.get(name, (SHORTEST, LONGEST))


def _file(provider: Provider, text: str) -> Entered:
    """Google's, of a project of its own: tokens are fetched where Google issues them, whatever the
    file says."""
    try:
        if len(text) > MOST_FILE:
            raise ValueError("It is too long for the JSON file of a service account's key.")
        info = secrets.service_account(text)
    except ValueError as error:
        raise BadRequest(str(error), param="service_account") from None
    project, mail = str(info.get("project_id", "")), str(info["client_email"])
    if not _PROJECT.fullmatch(project):
        raise BadRequest("The file names no project_id.", param="service_account")
    if info["token_uri"] != _GOOGLES and not _is_home(provider, str(info["token_uri"])):
        raise BadRequest(f"Its token_uri is not {_GOOGLES}.", param="service_account")
    return Entered(orjson.dumps(info).decode(), mail[:_SHOWN])


def _is_home(provider: Provider, address: str) -> bool:
    """Whether it is on the provider's own host: where the vendors are played, and tested."""
    home, there = urlsplit(provider.base_url), urlsplit(address)
    return (home.scheme, home.netloc) == (there.scheme, there.netloc)


class Shown(NamedTuple):
    """A sealed text, read: what is shown to the provider, where, and for which project."""

    secret: str
    address: str
    project: str = ""


def read(provider: Provider, text: str, address: str) -> Shown:
    """For a provider at that address. Raises ValueError for what is none of its keys."""
    try:
        which = kind(provider)
    except BadRequest as error:
        raise ValueError(error.message) from None
    if which == FILE:
        return Shown(text, address, str(secrets.service_account(text).get("project_id", "")))
    if which != RESOURCE:
        return Shown(text, address)
    given = orjson.loads(text) if text.startswith("{") else {}
    if not (isinstance(given, dict) and {"resource", "secret"} <= given.keys()):
        raise ValueError("This credential has parts: enter them again.")
    return Shown(given["secret"], _of_resource(address, given["resource"]))


def _of_resource(address: str, resource: str) -> str:
    """The same cloud's address of that resource; one without a name to replace is as it is."""
    url = urlsplit(address)
    host = url.hostname or ""
    _, dot, domain = host.partition(".")
    if not dot or not any(letter.isalpha() for letter in domain):
        return address
    port = f":{url.port}" if url.port else ""
    return urlunsplit(url._replace(netloc=f"{resource.lower()}.{domain}{port}"))
