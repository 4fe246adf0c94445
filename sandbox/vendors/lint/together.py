"""Members that are refused without another one, or beside it: the vendors' rules across fields.

They are data: a row says which member of which dialect, on what it stands, and the vendor's words
(from error texts that are quoted in public reports, and the vendors' pages).
"""

from collections.abc import Iterator
from typing import NamedTuple

from sandbox.vendors.conversation import Json, mapping, objects
from sandbox.vendors.vendors import VendorError


class Row(NamedTuple):
    """`member` is a path; `entry`, of a list, how the types of the entries meant begin. It needs
    that the member `needs` is one of `words`, or with none, that it says anything."""

    member: str
    needs: str
    says: str
    words: tuple[str, ...] = ()
    entry: str = ""


ANTHROPIC = (
    Row(
        "context_management.edits",
        "thinking.type",
        "`clear_thinking_20251015` strategy requires `thinking` to be enabled or adaptive",
        ("enabled", "adaptive"),
        "clear_thinking_",
    ),
    Row(
        "thinking.display",
        "thinking.type",
        "thinking.disabled.display: Extra inputs are not permitted",
        ("enabled", "adaptive"),
    ),
    Row(
        "thinking.budget_tokens",
        "thinking.type",
        "thinking.budget_tokens: Extra inputs are not permitted",
        ("enabled",),
    ),
)
CHAT = (
    Row(
        "top_logprobs",
        "logprobs",
        "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
    ),
)
RESPONSES = (Row("background", "store", "Background mode requires 'store' to be true."),)


def check(body: Json, rows: tuple[Row, ...]) -> None:
    """Raise the first row that does not hold."""
    for row in rows:
        if any(_found(body, row)) and not _stands(body, row):
            raise VendorError(row.says, param=row.member)


def _found(body: Json, row: Row) -> Iterator[bool]:
    value = _at(body, row.member)
    if row.entry:
        yield from (str(each.get("type")).startswith(row.entry) for each in objects(value))
    else:
        yield value not in (None, [], {}, False)


def _stands(body: Json, row: Row) -> bool:
    value = _at(body, row.needs)
    return value in row.words if row.words else bool(value)


def _at(body: Json, path: str) -> object:
    *holders, name = path.split(".")
    for holder in holders:
        body = mapping(body.get(holder))
    return body.get(name)
