"""The past: what time it is for Django here, and for the simulated Stripe there."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

import httpx
from django.conf import settings


class Clock:
    """Stands still at `now` until it is moved; forward only."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        key = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
        self.stripe = httpx.Client(
            base_url=settings.STRIPE_API_BASE, headers=key, timeout=60, trust_env=False
        )
        self._told = 0

    def move(self, moment: datetime) -> None:
        self.now = moment

    def control(self, path: str, **given: Any) -> Any:
        """Turn a control of the simulated Stripe, at this moment."""
        self.tell()
        return self._post(path, given)

    def tell(self) -> None:
        """Have Stripe know what time it is, where that has changed."""
        if self._told != int(self.now.timestamp()):
            self._told = int(self.now.timestamp())
            self._post("clock", {"now": self._told})

    def _post(self, path: str, given: dict[str, Any]) -> Any:
        answer = self.stripe.post(f"/_control/{path}", json=given)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def standing(now: datetime) -> Iterator[Clock]:
    """`timezone.now()` is that of a clock, wherever it is asked in this process."""
    clock = Clock(now)

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now.astimezone(tz)

    with mock.patch("django.utils.timezone.datetime", Then), clock.stripe:
        yield clock
