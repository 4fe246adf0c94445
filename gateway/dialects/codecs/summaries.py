"""A conversation's summary in the place of OpenAI's compaction, for models that have none.

A `compaction_trigger` at the end of a Responses body asks for one `compaction` item, which stands
for what was said before it. OpenAI's own is sealed; ours is the text of a summary that the model
wrote when it was asked to, spelled so that clients pass it on as they pass on OpenAI's. It is no
secret: its client has read all that is in it.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

from gateway.dialects.codecs import wire

PREFIX = "hns1."
TRIGGER = "compaction_trigger"
COMPACTED = ("compaction", "compaction_summary")
_MOST = 4 * 1024 * 1024  # bytes of all summaries of a request: no model reads as much
_TOLD = "Summary of the conversation up to here, written to go on from it:\n\n"

PROMPT = (
    "Write a summary of this conversation for yourself: it will take the place of everything "
    "above, and you will go on from it alone. Do not call tools and do not answer anything. Keep "
    "what the user wants in their own words, what was decided and why, what was done with which "
    "result (files, commands, identifiers, numbers, errors exactly as they are), what is still "
    "open, and the next step."
)


def asks(items: Any) -> bool:
    """Whether an input asks for a compaction."""
    if not isinstance(items, list):
        return False
    return any(isinstance(item, Mapping) and item.get("type") == TRIGGER for item in items)


def spelled(summary: str) -> str:
    """As the `encrypted_content` of an item."""
    packed = zlib.compress(summary.encode("utf-8", "replace"), 6)
    return PREFIX + base64.urlsafe_b64encode(packed).decode()


def expanded(parsed: Any) -> int:
    """Bytes that models are told in place of all the items of ours in a body, wherever they stand:
    a few packed ones may say megabytes. Raises BadRequest beyond what any model reads."""
    total, pending = 0, [parsed]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            if (said := told(node)) is not None:
                total += len(said.encode())
            pending += node.values()
        elif isinstance(node, list):
            pending += node
        if total > _MOST:
            wire.refuse("input", "its summaries are longer than any model reads")
    return total


def told(item: Mapping[str, Any]) -> str | None:
    """What an item of ours says to a model; None for one of somebody else's."""
    given = item.get("encrypted_content")
    if item.get("type") not in COMPACTED or not isinstance(given, str):
        return None
    if not given.startswith(PREFIX):
        return None
    try:
        packed = base64.urlsafe_b64decode(given[len(PREFIX) :])
        return _TOLD + zlib.decompressobj().decompress(packed, _MOST).decode("utf-8", "replace")
    except (binascii.Error, ValueError, zlib.error):
        return None
