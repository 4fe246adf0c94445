"""Whether an own key works: its vendor is asked which models there are, which costs nothing."""

import httpx
from django.utils import timezone

from gateway.dialects.codecs import failures
from gateway.vendors import probing, verdicts
from gateway.vendors.own_keys import access, keeping, problems
from gateway.vendors.own_keys.models import OwnKey

_SECONDS = 10.0
_MOST_BYTES = 65_536
_OURS = (b"host", b"content-type", b"accept-encoding")


def test(row: OwnKey) -> str:
    """What is wrong with it, in the vendor's words or ours (problems.py); "" if it works."""
    problem = _problem(row)
    keeping.tested(row, problem, timezone.now())
    return problem


def _problem(row: OwnKey) -> str:
    if not row.is_at_home:
        return problems.MOVED
    try:
        made = access.introduced(row)
    except ValueError:  # it was sealed under another key, or is none for that provider
        return problems.UNREADABLE
    if made.proof is not None or made.hosting:  # a cloud looks at who asks before at what
        verdict = probing.access(made, probing.asking(row.provider))
        return "" if verdict.good else verdicts.kept_as(row.provider.name, verdict)
    url = made.url(probing.asking(row.provider))
    headers = {n.decode(): v.decode() for n, v in made.headers.items() if n not in _OURS}
    try:
        with httpx.stream("GET", url, headers=headers, timeout=_SECONDS) as answer:
            body = next(answer.iter_bytes(_MOST_BYTES), b"")
    except httpx.HTTPError as error:
        return problems.silent(row.provider.name, error)
    if answer.status_code < 300:
        return ""
    return f"{answer.status_code} {failures.words(body)}".strip()
