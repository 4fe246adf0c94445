"""Fetching what a team has named: JSON, by hontoni/outbound.py."""

from typing import Any

import httpx
from django.conf import settings

from hontoni import errors, outbound

_SECONDS = 10.0
_MOST_BYTES = 512 * 1024


def check(url: str) -> str:
    """An address that may be asked, as it is written. Raises BadRequest."""
    try:
        outbound.check(url, private=settings.SIGN_ON_PRIVATE_NETWORKS)
    except outbound.Failed as error:
        raise errors.BadRequest(
            "This is not an https address.", code="provider_address"
        ) from error
    return url


def get(url: str, **headers: str) -> Any:
    """What is there. Raises BadRequest in words for the team's owner."""
    return _ask("GET", url, headers=headers)


def post(url: str, data: dict[str, str], auth: tuple[str, str] | None = None) -> Any:
    return _ask("POST", url, data=data, auth=auth)


def _ask(method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    named = {"Accept": "application/json", **(headers or {})}
    try:
        answer = outbound.ask(
            method,
            check(url),
            private=settings.SIGN_ON_PRIVATE_NETWORKS,
            seconds=_SECONDS,
            most_bytes=_MOST_BYTES,
            headers=named,
            **more,
        )
        if not answer.whole:
            raise _failed("sends too much")
        if answer.status != 200:
            raise _failed(f"answers {answer.status}")
        return httpx.Response(200, content=answer.body).json()
    except outbound.Failed as error:
        raise _failed(str(error)) from error
    except ValueError as error:
        raise _failed("sends no JSON") from error


def _failed(how: str) -> errors.BadRequest:
    return errors.BadRequest(f"The team's provider {how}.", code="provider_failed")
