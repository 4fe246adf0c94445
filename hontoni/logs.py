"""The console log: as text or as JSON, with whose request it is about, and no flood in an outage.

While a store is away every request and every heartbeat says so. What is said again is held back
for `LOG_REPEAT_SECONDS`, and then told once more with how often it was (`repeated`). Two records
are the same if they read the same; of those that carry an exception, if their template and the
kind of exception are.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from django.conf import settings

_MOST_KINDS = 500


class About(Protocol):
    """The request in hand: its id, and account and key once they are known."""

    @property
    def request_id(self) -> str: ...

    @property
    def owner(self) -> tuple[int, int] | None: ...


# Whatever is begun for a request and outlives it keeps its context: a connection to a vendor does,
# and a timer. So /v1 says a weak reference here, or a body would stay in memory with each.
about: contextvars.ContextVar[Callable[[], About | None]] = contextvars.ContextVar(
    "about", default=lambda: None
)


class Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_whose(),
        }
        if repeated := getattr(record, "repeated", 0):
            fields["repeated"] = repeated
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(fields).decode()


class Text(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        repeated = getattr(record, "repeated", 0)
        return f"{text}  (and {repeated} more since)" if repeated else text


def _whose() -> dict[str, str | int]:
    request = about.get()()
    if request is None:
        return {}
    fields: dict[str, str | int] = {"request": request.request_id}
    if request.owner is not None:
        fields["account"], key = request.owner
        if key:  # pages are asked for without one
            fields["key"] = key
    return fields


class Console(logging.StreamHandler[Any]):
    """Holds back what was said just now."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: float = settings.LOG_REPEAT_SECONDS
        self._said: dict[Any, float] = {}
        self._held: dict[Any, tuple[int, logging.LogRecord]] = {}
        self._looked = time.monotonic()
        self._lock_of_kinds = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        for each in self._due(record):
            super().emit(each)

    def _due(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What is to be written now: this one or not, and what was held back long enough."""
        if record.levelno < logging.WARNING or not self.seconds:
            return [record]
        now, kind = time.monotonic(), _kind(record)
        with self._lock_of_kinds:
            if now - self._said.get(kind, -self.seconds) < self.seconds:
                self._held[kind] = self._held.get(kind, (0, record))[0] + 1, record
                return self._overdue(now)
            if kind in self._held:
                record.repeated = self._held.pop(kind)[0]
            self._said[kind] = now
            return [*self._overdue(now), record]

    def _overdue(self, now: float) -> list[logging.LogRecord]:
        """The last of each kind that was held back and did not come again."""
        if now - self._looked < self.seconds:
            return []
        self._looked, found = now, []
        for kind in [k for k, said in self._said.items() if now - said >= self.seconds]:
            del self._said[kind]
            if kind in self._held:
                count, record = self._held.pop(kind)
                record.repeated = count - 1
                found.append(record)
        if len(self._said) > _MOST_KINDS:
            self._said.clear()
        return found


def _kind(record: logging.LogRecord) -> Any:
    error = record.exc_info[0] if record.exc_info else None
    if error is None:
        given = record.args if isinstance(record.args, tuple) else ()
        error = next((type(each) for each in given if isinstance(each, BaseException)), None)
    said = record.getMessage() if error is None else record.msg
    return record.name, record.levelno, said, error
