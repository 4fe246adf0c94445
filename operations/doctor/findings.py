"""What a check found."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """`warning`: it works, and will not for ever. `failing`: somebody must act."""

    OK = "ok"
    WARNING = "warning"
    FAILING = "failing"


class Finding(NamedTuple):
    """`text` is a sentence for the operator: what is, and what to do if it is not well."""

    level: Level
    text: str


Check = Callable[[], Iterator[Finding]]


def ok(text: str) -> Finding:
    return Finding(Level.OK, text)


def warning(text: str) -> Finding:
    return Finding(Level.WARNING, text)


def failing(text: str) -> Finding:
    return Finding(Level.FAILING, text)
