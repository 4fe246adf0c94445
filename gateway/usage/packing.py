"""A usage event's details, in a quarter of the bytes: what nearly every request has.

As JSON, when it was admitted, where its five windows stood and its one attempt are 290 bytes, and
400 in Postgres; as `brief` they are 80. So are the dialect and, where it is the model's, the name
that was requested. Whatever is otherwise stays in the columns it always had. The first byte says
which layout it is: there may be more, but none is ever changed.
"""

import struct
from collections.abc import Mapping
from typing import Any

DIALECTS = (
    *("", "openai_chat", "openai_responses", "anthropic_messages", "gemini"),
    *("openai_completions", "openai_embeddings", "openai_moderations", "openai_images"),
    *("openai_transcriptions", "openai_speech", "gemini_embeddings"),
)
WINDOWS = ("rpm", "5h", "daily", "weekly", "monthly")
_MEMBERS = ("price_read_at", "admitted_at", "windows", "windows_at", "attempts")
_ATTEMPT = {"credential", "status", "ms"}

# Layout, dialect, whether the requested name is the model's; when the price was read and when it
# was admitted; when the windows were told, in ms since then; limit, used and reset of each; the
# attempt's status and ms. The rest is its credential. The second is for who is allowed more.
_FORMS = {1: struct.Struct("<BBBdqi3HHHIHHIHHIHHIHI"), 2: struct.Struct("<BBBdqi15IHI")}


def packed(
    details: Mapping[str, Any], dialect: str, is_model: bool
) -> tuple[dict[str, Any], bytes | None]:
    """What is left of the details, and the brief; None where they have not what it holds."""
    try:
        (attempt,) = details["attempts"]
        windows, admitted = details["windows"], details["admitted_at"]
        if tuple(window[0] for window in windows) != WINDOWS or attempt.keys() != _ATTEMPT:
            return dict(details), None
        head = _packed(
            DIALECTS.index(dialect),
            is_model,
            details["price_read_at"],
            admitted,
            details["windows_at"] - admitted // 1000,
            *(number for window in windows for number in window[1:]),
            attempt["status"],
            attempt["ms"],
        )
    except (KeyError, ValueError, TypeError, struct.error):
        return dict(details), None
    rest = {name: value for name, value in details.items() if name not in _MEMBERS}
    return rest, head + attempt["credential"].encode()


def _packed(*values: Any) -> bytes:
    try:
        return _FORMS[1].pack(1, *values)
    except struct.error:
        return _FORMS[2].pack(2, *values)


def unpacked(details: Mapping[str, Any], brief: bytes | None) -> dict[str, Any]:
    """The details as they were told. Raises KeyError of a layout that this release cannot read."""
    if not brief:
        return dict(details)
    form = _FORMS[brief[0]]
    _, _, _, read_at, admitted, since, *numbers = form.unpack_from(brief)
    status, ms = numbers[15:]
    credential = bytes(brief[form.size :]).decode()
    return {
        "price_read_at": read_at,
        "admitted_at": admitted,
        "windows": [
            [name, *numbers[3 * place : 3 * place + 3]] for place, name in enumerate(WINDOWS)
        ],
        "windows_at": admitted // 1000 + since,
        "attempts": [{"credential": credential, "status": status, "ms": ms}],
        **details,
    }


def fill(columns: dict[str, Any], brief: bytes) -> None:
    """Put what a brief holds where it was before."""
    columns["details"] = unpacked(columns.get("details") or {}, brief)
    columns["dialect"] = DIALECTS[brief[1]] or columns.get("dialect", "")
    if brief[2] and "model" in columns:
        columns["requested_model"] = columns["model"]
