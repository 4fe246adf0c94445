"""What a plain request's settings come to, worked out once.

A program asks again and again with the same settings and another prompt. While a prompt is nothing
but text, how much may come back, whether the bytes may pass through, and what is changed in them
on the way depend on the settings alone: so the ordinary way works them out the first time
(adapters.py), and they are kept beside the model until the catalogue is read anew. All else
is looked at each time, and what is priced is the request itself.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from gateway.catalogue.features.sift import Sifted
from gateway.catalogue.variants import PLAIN
from gateway.vendors import manners

if TYPE_CHECKING:
    from gateway.plane.inbound import InboundRequest

_SETTINGS = (
    *("model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "seed"),
    *("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"),
    *("stop", "stop_sequences"),
)
_TEXTS = frozenset(("messages", "system"))
_MEMBERS = {
    "openai_chat": frozenset((*_SETTINGS, "messages")),
    "anthropic_messages": frozenset((*_SETTINGS, *_TEXTS)),
}
_ROLES = {
    "openai_chat": frozenset(("system", "developer", "user", "assistant")),
    "anthropic_messages": frozenset(("user", "assistant")),
}
_LONGEST = 500  # bytes of settings that are worth keeping
_MOST = 256  # kept of one model


class Outline(NamedTuple):
    """`most` tokens may come back, all choices together; `changes` are made to the body on its
    way, to `path`; `hides` if the answer may cost output that we cannot watch being produced."""

    most: int
    changes: dict[str, Any]
    path: str
    hides: bool


def settings(dialect: str, parsed: Mapping[str, Any]) -> bytes:
    """What a body says beside its text, as JSON behind its dialect's name: the same words mean
    something else in another. Nothing where it says anything else than text and settings."""
    members = _MEMBERS.get(dialect)
    if members is None or not members.issuperset(parsed):
        return b""
    if not _is_text(parsed.get("messages"), _ROLES[dialect]):
        return b""
    if type(parsed.get("system", "")) is not str:
        return b""
    try:
        said = orjson.dumps({name: parsed[name] for name in parsed if name not in _TEXTS})
    except orjson.JSONEncodeError:
        return b""
    return b"%b %b" % (dialect.encode(), said) if len(said) <= _LONGEST else b""


def _is_text(messages: Any, roles: frozenset[str]) -> bool:
    """Whether it is a conversation in plain text, whose last word is the user's."""
    if type(messages) is not list or not messages:
        return False
    for message in messages:
        if type(message) is not dict or len(message) != 2:
            return False
        if type(message.get("content")) is not str or type(message.get("role")) is not str:
            return False
        if message["role"] not in roles:
            return False
    return bool(messages[-1]["role"] == "user")


def note(inbound: "InboundRequest", sifted: Sifted, changes: dict[str, Any], path: str) -> None:
    """What became of a request that passes through, for the next one with its settings."""
    model = inbound.model
    if inbound.variant is not PLAIN or model.manners is not manners.PLAIN:
        return
    if inbound.thinking.mode or inbound.clamps or sifted != Sifted(inbound.parsed):
        return
    if not changes.keys().isdisjoint(_TEXTS):
        return
    if said := settings(inbound.dialect.name, inbound.parsed):
        if len(model.outlines) >= _MOST:
            model.outlines.clear()
        model.outlines[said] = Outline(inbound.estimate.output, changes, path, inbound.hides())
