"""Tool names and call ids within each vendor's limits, and back.

A name that fits is left alone. One that does not is made to fit and carries eight hex digits of
itself, so two never meet and a name is the same on every turn.
"""

import hashlib
import re
from collections.abc import Iterable

_OPENAI = (re.compile(r"[a-zA-Z0-9_-]{1,64}"), 64)
LIMITS = {
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI,
    "anthropic_messages": (re.compile(r"[a-zA-Z0-9_-]{1,128}"), 128),
    "gemini": (re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}"), 64),
    "converse": (re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}"), 64),
}
LONGEST_ID = 64
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ODD = re.compile(r"[^a-zA-Z0-9_-]")

Known = tuple[str, str]  # (namespace, name)


class Names:
    """Both directions for one request: what the client calls a tool, and what the wire does."""

    __slots__ = ("_known", "_limit", "_pattern", "_plain")

    def __init__(self, known: Iterable[Known], dialect: str) -> None:
        self._pattern, self._limit = LIMITS[dialect]
        known = list(known)
        self._plain = {name for namespace, name in known if not namespace}
        self._known = {self.wire(*each): each for each in known}

    def wire(self, namespace: str, name: str) -> str:
        """The name the upstream sees."""
        flat = f"{namespace}__{name}" if namespace else name
        taken = bool(namespace) and flat in self._plain
        if self._pattern.fullmatch(flat) and not taken:
            return flat
        return shorten(flat, f"{namespace}\0{name}", self._limit)

    def restore(self, wire: str) -> Known:
        """The client's own namespace and name; a name nobody offered is itself."""
        return self._known.get(wire, ("", wire))


def call_id(text: str) -> str:
    """A call id every vendor accepts; the same for the call and its result."""
    return text if _CALL_ID.fullmatch(text) else shorten(text, text, LONGEST_ID)


def shorten(text: str, identity: str, limit: int) -> str:
    """`text` in the common alphabet, ending in eight hex digits of `identity`."""
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = _ODD.sub("_", text)[: limit - 10]
    return f"{head if head[:1].isalpha() else '_' + head}_{digest}"
