"""Stripe's idempotency (https://docs.stripe.com/api/idempotent_requests).

* The first result of a key is kept, whether it succeeded or failed, 500s included, and answered
  again for 24 hours.
* The same key with other parameters, or on another path, is a 400 `idempotency_error`.
* While the first request still runs, the same key is a 409.
* A request that failed validation, or lost against a running one, saves nothing.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import StripeError

LONGEST = 255


@dataclass
class Saved:
    """What a key stands for. `status` 0 means the first request is still running."""

    path: str
    fingerprint: str
    created: int
    status: int = 0
    body: str = ""
    request_id: str = ""


def fingerprint(body: bytes) -> str:
    """Two requests are the same when their encoded parameters are."""
    return hashlib.sha256(body).hexdigest()


class Keys:
    """The remembered keys of one account."""

    def __init__(self) -> None:
        self.saved: dict[str, Saved] = {}

    def claim(self, key: str, path: str, body: bytes, now: int) -> Saved | None:
        """The finished first request of this key, or None: then this request is the first."""
        if len(key) > LONGEST:
            raise _error(400, f"Idempotency keys may be at most {LONGEST} characters long.")
        self._prune(now)
        first = self.saved.get(key)
        if first is None:
            self.saved[key] = Saved(path=path, fingerprint=fingerprint(body), created=now)
            return None
        _check(first, key, path, body)
        return first

    def keep(self, key: str, status: int, body: bytes, request_id: str) -> None:
        """Save the result of the first request."""
        first = self.saved[key]
        first.status, first.body, first.request_id = status, body.decode(), request_id

    def release_running(self, key: str) -> None:
        """Forget a key whose request ended without a result worth keeping."""
        if key in self.saved and not self.saved[key].status:
            del self.saved[key]

    def _prune(self, now: int) -> None:
        for key in [k for k, first in self.saved.items() if now - first.created >= DAY]:
            del self.saved[key]

    def dump(self) -> dict[str, Any]:
        """What a snapshot holds: finished keys."""
        return {key: asdict(first) for key, first in self.saved.items() if first.status}

    def load(self, dumped: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self.saved = {key: Saved(**fields) for key, fields in dumped.items()}


def _check(first: Saved, key: str, path: str, body: bytes) -> None:
    if first.path != path:
        raise _error(
            400,
            "Keys for idempotent requests can only be used for the same endpoint they were first "
            f"used for ('{path}' vs '{first.path}'). Try using a key other than '{key}' if you "
            "meant to execute a different request.",
        )
    if first.fingerprint != fingerprint(body):
        raise _error(
            400,
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
        )
    if not first.status:
        raise _error(
            409,
            "There is currently another in-progress request using this Idempotent Key (that "
            "probably means you submitted twice, and the other request is still going through): "
            f"{key}. Please try again later.",
            code="idempotency_key_in_use",
        )


def _error(status: int, message: str, code: str | None = None) -> StripeError:
    return StripeError(status, "idempotency_error", message, code=code, stored=False)
