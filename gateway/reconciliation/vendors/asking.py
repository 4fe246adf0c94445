"""One question to a vendor's report address: its JSON, asked again after what may pass."""

import time
from typing import Any

import httpx

from gateway.reconciliation.vendors import formats
from gateway.reconciliation.vendors.formats.report import BadReport

TRIES = 4
_MOST_WAIT_SECONDS = 30.0


class Refused(BadReport):
    """A vendor's report could not be had. What it says names no secret."""


def answered(client: httpx.Client, method: str, url: str, **requested: Any) -> dict[str, Any]:
    """The JSON object of an answer. Raises Refused."""
    for tried in range(1, TRIES + 1):
        try:
            reply = client.request(method, url, **requested)
        except httpx.HTTPError as error:
            said = f"{type(error).__name__}: {error}"
            problem, wait = Refused("%(url)s: %(said)s", url=url, said=said[:200]), 2.0**tried
        else:
            if reply.status_code < 400:
                return _object(reply, url)
            problem = Refused(
                "%(url)s answered %(status)s: %(said)s",
                url=url,
                status=reply.status_code,
                said=reply.text[:200],
            )
            if reply.status_code != 429 and reply.status_code < 500:
                break
            wait = _wait(reply, 2.0**tried)
        if tried < TRIES:
            pause(min(wait, _MOST_WAIT_SECONDS))
    raise problem


def pause(seconds: float) -> None:
    """Between two tries."""
    time.sleep(seconds)


def _object(reply: httpx.Response, url: str) -> dict[str, Any]:
    try:
        found = formats.exact(reply.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused("%(url)s did not answer with a JSON object.", url=url)
    return found


def _wait(reply: httpx.Response, usual: float) -> float:
    said = reply.headers.get("retry-after", "")
    return float(said) if said.isdigit() else usual
