"""A key in clear, seen where it should not be: its end."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens, shape
from accounts.models import ApiKey, PersonalToken

_PREFIXES = (api_keys.PREFIX, personal_tokens.PREFIX)
_SECRET = re.compile(
    rf"(?:{'|'.join(_PREFIXES)})[0-9A-Za-z]{{{shape.LENGTH}}}(?![0-9A-Za-z])", re.ASCII
)
Secret = ApiKey | PersonalToken


@dataclass(frozen=True, slots=True)
class Report:
    """Who found it (`github`, or the address of whoever used the page), and where."""

    by: str
    where: str = ""
    url: str = ""


_followers: list[Callable[[Secret, Report], None]] = []


def follow(follower: Callable[[Secret, Report], None]) -> None:
    """Have this called in the transaction that ends a leaked key, or token."""
    _followers.append(follower)


def found_in(text: str) -> list[str]:
    """The keys and tokens of ours in a text, by their shape and checksum, each once."""
    found = dict.fromkeys(match[0] for match in _SECRET.finditer(text))
    return [raw for raw in found if any(shape.well_formed(raw, each) for each in _PREFIXES)]


@transaction.atomic
def end(raw: str, report: Report) -> bool:
    """Revoke it, and tell; whether it ever was one of ours. One that has ended ends no more."""
    found = _find(raw)
    if found is None:
        return False
    if found.status(timezone.now()) == "active" and _revoke(found):
        for follower in _followers:
            follower(found, report)
    return True


def _find(raw: str) -> Secret | None:
    if api_keys.well_formed(raw):
        return api_keys.find(api_keys.digest(raw))
    return personal_tokens.find(raw)


def _revoke(found: Secret) -> bool:
    if isinstance(found, ApiKey):
        return api_keys.revoke(found)
    return personal_tokens.revoke(found)


def end_all(raws: Iterable[str], report: Report) -> int:
    """How many of them were keys of ours."""
    return sum(end(raw, report) for raw in raws)
