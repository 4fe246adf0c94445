"""JSON of strangers, so that what is read can be stored anywhere and sent back.

A member that is there twice has two meanings, and only one of them would be checked. Half a
surrogate pair is legal in JSON and in no database, nor is a number without end.
"""

import json
import math
from collections import Counter
from typing import Any, NoReturn


class Unreadable(ValueError):
    """Why it is not read."""


class Twice(Unreadable):
    """A member is there twice."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: It is there twice.")
        self.name = name


def parse(body: bytes | str) -> Any:
    """What stands there. Raises Unreadable."""
    try:
        parsed = json.loads(
            body,
            parse_constant=_refuse,
            parse_int=_whole,
            parse_float=finite,
            object_pairs_hook=_once,
        )
        json.dumps(parsed, ensure_ascii=False).encode()
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    return parsed


def has_nul(parsed: Any) -> bool:
    """Whether a text in it has a NUL, which Postgres keeps in none."""
    return "\\u0000" in json.dumps(parsed).replace("\\\\", "")


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(f"{constant} is not JSON")


def _whole(digits: str) -> int:
    """What every database and every client can keep."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise Unreadable(f"{digits[:25]} is too large a number")
    return int(digits)


def finite(text: str) -> float:
    """A number with a point or an exponent. Raises Unreadable for one without end."""
    if not math.isfinite(number := float(text)):
        raise Unreadable(f"{text[:25]} is too large a number")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        raise Twice(next(name for name, count in counted.items() if count > 1))
    return members
