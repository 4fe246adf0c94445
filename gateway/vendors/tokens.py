"""Tokens of an hour: Google's of a service account, Microsoft's of an Entra application.

A token is fetched in a thread, once at a time, and renewed when three quarters of its life are
over: a request only ever waits for the first one of a process. While a renewal fails the old token
serves until its end. A failure is remembered for a few seconds, so that nobody hammers whoever
issues them.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx

from gateway.vendors import secrets
from gateway.vendors.secrets import Application
from hontoni.errors import UpstreamFailed

logger = logging.getLogger(__name__)

SECONDS = 10.0  # that its issuer has to answer
_SPENT = 0.75  # of its life, when it is renewed
_AGAIN_SECONDS = 5.0  # after a failure
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"

Issued = tuple[str, float]  # a token, and for how many seconds it is good
Issue = Callable[[], Issued]


class NoToken(UpstreamFailed):
    """Nobody gave us one: our credential is at fault, or its issuer."""

    def __init__(self, refused: bool) -> None:
        super().__init__("The model's provider failed to answer")
        self.vendor_code = "authentication_error" if refused else ""


class Refused(Exception):
    """Its issuer does not know us."""


class Token:
    """Of one credential. `issue` fetches one, and blocks."""

    def __init__(self, issue: Issue) -> None:
        self._issue = issue
        self._header = b""
        self._renew_at = self._ends_at = self._failed_at = -1e9
        self._refused = False
        self._renewal: asyncio.Task[None] | None = None

    async def headers(
        self, url: str, headers: Mapping[bytes, bytes], body: bytes
    ) -> dict[bytes, bytes]:
        if time.monotonic() >= self._ends_at:
            await self.renew()
        return {b"authorization": self._header}

    def due(self) -> bool:
        now = time.monotonic()
        return now >= self._renew_at and now - self._failed_at >= _AGAIN_SECONDS

    async def renew(self) -> None:
        """Whoever needs it waits for the same renewal. Raises NoToken."""
        if self._renewal is None or self._renewal.done():
            if time.monotonic() - self._failed_at < _AGAIN_SECONDS:
                raise NoToken(self._refused)
            self._renewal = asyncio.create_task(self._renew())
        await asyncio.shield(self._renewal)

    def refused(self) -> None:
        self._renew_at = self._ends_at = -1e9

    async def _renew(self) -> None:
        began = time.monotonic()
        try:
            token, seconds = await asyncio.to_thread(self._issue)
        except Exception as error:  # of two libraries, and of the network
            self._failed_at, self._refused = time.monotonic(), isinstance(error, Refused)
            logger.critical("upstream.no_token %s: %s", type(error).__name__, error)
            raise NoToken(self._refused) from error
        self._header = f"Bearer {token}".encode()
        self._ends_at = began + seconds - min(30.0, seconds / 10)
        self._renew_at = began + seconds * _SPENT
        self._failed_at = -1e9


def entra(secret: str) -> Issue:
    """Of an application that signs in with its own secret. Raises ValueError."""
    return partial(_entra, Application.parse(secret))


def _entra(application: Application) -> Issued:
    given = {
        "grant_type": "client_credentials",
        "client_id": application.client_id,
        "client_secret": application.client_secret,
        "scope": _AZURE_SCOPE,
    }
    url = f"{application.authority}/{application.tenant}/oauth2/v2.0/token"
    answer = httpx.post(url, data=given, timeout=SECONDS)
    if answer.status_code in (400, 401, 403):
        raise Refused(f"Entra says {answer.status_code}")
    issued = answer.raise_for_status().json()
    return str(issued["access_token"]), float(issued["expires_in"])


def service_account(secret: str) -> Issue:
    """Of the file that Google makes. Raises ValueError."""
    from google.oauth2.service_account import Credentials

    info = secrets.service_account(secret)
    make: Any = Credentials.from_service_account_info  # typed in parts only
    return partial(_service_account, make(info, scopes=[_GOOGLE_SCOPE]))


def _service_account(credentials: Any) -> Issued:
    from google.auth.exceptions import RefreshError
    from google.auth.transport.requests import Request

    try:
        credentials.refresh(partial(Request(), timeout=SECONDS))
    except RefreshError as error:
        if error.retryable:
            raise
        raise Refused(str(error)) from error
    expiry: datetime = credentials.expiry
    left = (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    return str(credentials.token), left
