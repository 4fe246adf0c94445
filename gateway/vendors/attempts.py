"""One try to have a request answered: on the receipt, in its breaker, and told to staff.

The receipt names the credential by its label, never by its secret.
"""

import asyncio
import logging
import math
import time
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from gateway.dialects.codecs import failures
from gateway.dialects.ir import Failed
from gateway.vendors import errors
from gateway.vendors.access import Access
from gateway.vendors.models import Credential
from gateway.vendors.own_keys.models import OwnKey
from gateway.vendors.routes import Route
from hontoni.db import in_thread

logger = logging.getLogger(__name__)

_MARKED_AGAIN_SECONDS = 60.0


class Attempt:
    """`status` is the vendor's, None until it answers; `error` its code, or ours; `repaired` if
    what it refused was changed then."""

    __slots__ = ("_began", "_ended", "_heard", "_probe", "error", "repaired", "route", "status")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.status: int | None = None
        self.error = ""
        self.repaired = False
        self._began = time.monotonic()
        self._ended = 0.0
        self._heard = False
        self._probe = route.breaker.begin()

    def answered(self) -> None:
        """The first good byte is there."""
        if not (self._heard or self._ended):
            self._heard = True
            self.route.breaker.tally.first((time.monotonic() - self._began) * 1000)
        if self.route.breaker.refused:
            self.route.access.marked_at = -math.inf
            _later(_unmark, self.route.access)
        self.route.breaker.succeeded()

    def ended(self, failed: Failed | None) -> None:
        """It is over; `failed` says how, if not well."""
        self._ended, tally = time.monotonic(), self.route.breaker.tally
        if failed is None:
            tally.ended()
            self.answered()
            return
        self.error = failed.vendor_code or failed.code
        if not errors.is_theirs(failed):
            tally.ended()
            self.answered()
            return
        limited, wait = errors.limits(failed, self.status), failed.retry_after or 0.0
        tally.ended(self.error, limited=limited, wait=wait)
        refused, breaker = errors.refuses_us(failed), self.route.breaker
        wait, gone = failed.retry_after or 0.0, failed.code == failures.RETIRED
        if breaker.failed(retry_after=wait, refused=refused, gone=gone):
            label = self.route.access.label
            logger.warning("breaker.open %s %s for %.0f s", label, self.error, breaker.wait())
        if refused:
            if self.route.access.proof is not None:
                self.route.access.proof.refused()
            own = self.route.access.own_key is not None  # whose owner reads it
            _mark_later(self.route.access, failed.message[:300] if own else self.error[:100])

    def abandoned(self) -> None:
        """Nobody waits for it any more: that says nothing about the vendor."""
        self._ended = time.monotonic()
        self.error = "abandoned"
        if self._heard:
            self.route.breaker.tally.ended()
        if self._probe:
            self.route.breaker.abandoned()

    def as_dict(self) -> dict[str, Any]:
        """As the receipt keeps it; `ms` until now if it is not over."""
        ended = self._ended or time.monotonic()
        shown: dict[str, Any] = {
            "credential": self.route.access.label,
            "status": self.status,
            "ms": int((ended - self._began) * 1000),
        }
        if self.error:
            shown["error"] = self.error
        return shown


_tasks: set[asyncio.Task[None]] = set()  # kept, or they may be collected


def _mark_later(access: Access, error: str) -> None:
    """Tell staff that a credential is refused: at most once a minute."""
    now = time.monotonic()
    if now - access.marked_at >= _MARKED_AGAIN_SECONDS:
        access.marked_at = now
        _later(_mark, access, error)


def _later(work: Any, access: Access, *args: Any) -> None:
    if access.credential is None and access.own_key is None:
        return
    task = asyncio.create_task(_logged(work, access, *args))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _logged(work: Any, *args: Any) -> None:
    try:
        await in_thread(work, *args)
    except Exception:  # the mark is a courtesy to staff; the log has it too
        logger.exception("credential.unmarked %s", args)


def _mark(access: Access, error: str) -> None:
    _row(access).update(refused_at=Now(), refusal=error)


def _unmark(access: Access) -> None:
    _row(access).update(refused_at=None, refusal="")


def _row(access: Access) -> "QuerySet[Any]":
    """A credential of ours, or a customer's own key: its owner sees the mark."""
    if access.own_key is not None:
        return OwnKey.objects.filter(pk=access.own_key)
    return Credential.objects.filter(pk=access.credential or 0)
