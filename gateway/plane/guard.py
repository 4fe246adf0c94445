"""What a key's guard has to know of a request: its prompt and its session, as digests.

A session is what its client calls it: `x-session-id`, the header or the field that its tool has
for it, or else how its prompt begins (gateway/vendors/sessions.py): who names none has one all the
same.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from gateway.plane.inbound import InboundRequest
from ratelimits.guards import Guard

HEADERS = (
    b"x-session-id",
    b"x-claude-code-session-id",
    b"session_id",
    b"session-id",
    b"x-session-affinity",
)
# What the prompt is; how it is to be answered (temperature, limits, streaming) is not.
_PROMPT = (
    *("model", "system", "instructions", "systemInstruction", "messages", "input", "contents"),
    *("prompt", "previous_response_id", "conversation"),
)


def of(guard: Guard, request: InboundRequest, headers: Mapping[bytes, bytes]) -> Guard:
    """The guard of this very request."""
    prompt = _prompt(request) if guard.loop else ""
    session = _session(request, headers) if guard.budget else ""
    return guard._replace(prompt=prompt, session=session)


def _prompt(request: InboundRequest) -> str:
    if request.beside is not None:  # too large to be taken apart here
        return _digest(request.body)
    parsed: Mapping[str, Any] = request.parsed
    said = [parsed.get(name) for name in _PROMPT]
    try:
        return _digest(orjson.dumps(said))
    except orjson.JSONEncodeError:  # half an emoji, which agents do send
        return _digest(repr(said).encode("utf-8", "replace"))


def _session(request: InboundRequest, headers: Mapping[bytes, bytes]) -> str:
    named = next((value for name in HEADERS if (value := headers.get(name))), b"")
    return _digest(named or request.session(headers))


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()
