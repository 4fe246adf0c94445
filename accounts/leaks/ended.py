"""A key in clear, seen where it should not be: its end."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.keys import api_keys
from accounts.models import ApiKey

_KEY = re.compile(rf"{api_keys.PREFIX}[0-9A-Za-z]{{49}}(?![0-9A-Za-z])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """Who found it (`github`, or the address of whoever used the page), and where."""

    by: str
    where: str = ""
    url: str = ""


_followers: list[Callable[[ApiKey, Report], None]] = []


def follow(follower: Callable[[ApiKey, Report], None]) -> None:
    """Have this called in the transaction that ends a leaked key."""
    _followers.append(follower)


def found_in(text: str) -> list[str]:
    """The keys of ours in a text, by their shape and checksum, each once."""
    found = dict.fromkeys(match[0] for match in _KEY.finditer(text))
    return [raw for raw in found if api_keys.well_formed(raw)]


@transaction.atomic
def end(raw: str, report: Report) -> bool:
    """Revoke it, and tell; whether it ever was a key of ours. One that has ended ends no more."""
    key = api_keys.find(api_keys.digest(raw)) if api_keys.well_formed(raw) else None
    if key is None:
        return False
    if key.status(timezone.now()) == "active" and api_keys.revoke(key):
        for follower in _followers:
            follower(key, report)
    return True


def end_all(raws: Iterable[str], report: Report) -> int:
    """How many of them were keys of ours."""
    return sum(end(raw, report) for raw in raws)
