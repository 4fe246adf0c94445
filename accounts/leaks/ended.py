"""A key in clear, seen where it should not be: its end. So it is of a personal access token, and
of the token of a team's directory, which has no checksum.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.keys import api_keys, personal_tokens, shape
from accounts.models import ApiKey, PersonalToken, SignOn

_PREFIXES = (api_keys.PREFIX, personal_tokens.PREFIX)
_SECRET = re.compile(
    rf"(?:{'|'.join(_PREFIXES)})[0-9A-Za-z]{{{shape.LENGTH}}}(?![0-9A-Za-z])", re.ASCII
)
DIRECTORYS = "scim-gw-"  # how the tokens of directories begin
_DIRECTORYS = re.compile(rf"{DIRECTORYS}[0-9A-Za-z_-]{{43}}(?![0-9A-Za-z_-])", re.ASCII)
Secret = ApiKey | PersonalToken | SignOn


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
    ours = [raw for raw in found if any(shape.well_formed(raw, each) for each in _PREFIXES)]
    return [*ours, *dict.fromkeys(_DIRECTORYS.findall(text))]


@transaction.atomic
def end(raw: str, report: Report) -> bool:
    """Revoke it, and tell; whether it ever was one of ours. One that has ended ends no more."""
    found = _find(raw)
    if found is None:
        return False
    if _is_active(found) and _revoke(found):
        for follower in _followers:
            follower(found, report)
    return True


def _find(raw: str) -> Secret | None:
    if api_keys.well_formed(raw):
        return api_keys.find(api_keys.digest(raw))
    if raw.startswith(DIRECTORYS):
        return SignOn.objects.filter(scim_digest=hashlib.sha256(raw.encode()).digest()).first()
    return personal_tokens.find(raw)


def _is_active(found: Secret) -> bool:
    return isinstance(found, SignOn) or found.status(timezone.now()) == "active"


def _revoke(found: Secret) -> bool:
    if isinstance(found, ApiKey):
        return api_keys.revoke(found)
    if isinstance(found, SignOn):
        live = SignOn.objects.filter(pk=found.pk, scim_digest=found.scim_digest)
        return bool(live.update(scim_digest=None))
    return personal_tokens.revoke(found)


def end_all(raws: Iterable[str], report: Report) -> int:
    """How many of them were keys of ours."""
    return sum(end(raw, report) for raw in raws)
