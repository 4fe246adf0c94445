"""What a WebSocket remembers: the last response of each lane that nobody else keeps, so that
`previous_response_id` works there with `store: false`, too.

It is kept as the bytes that went by, and read only once somebody points at it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from gateway.dialects.json_patch import parse
from gateway.state import conversation
from hontoni import bodies
from hontoni.errors import ApiError, BadRequest


class Latest(NamedTuple):
    """A response: what it was asked, and the event that ended it."""

    request: bytes
    event: bytes

    @property
    def size(self) -> int:
        return len(self.request) + len(self.event)

    def response(self, named: str) -> Mapping[str, Any] | None:
        """It, if that is its name."""
        if named.encode("utf-8", "replace") not in self.event:
            return None
        try:
            response = parse(self.event).get("response")
        except BadRequest:
            return None
        return response if isinstance(response, dict) and response.get("id") == named else None

    def items(self) -> list[Any]:
        """Everything said up to its end."""
        said = conversation.items(orjson.loads(self.request).get("input"))
        return [*said, *(parse(self.event)["response"].get("output") or ())]


class Memory:
    """The last one of each lane, within what its account may hold of the process's memory."""

    def __init__(self, account: int) -> None:
        self._held = bodies.Held(str(account))
        self._latest: dict[str, Latest] = {}

    def find(self, named: str) -> Latest | None:
        """The one of that name, on whichever lane."""
        return next((e for e in self._latest.values() if e.response(named) is not None), None)

    def keep(self, lane: str, latest: Latest) -> None:
        """In place of the one before. Whoever points at one that there was no room for hears that
        it is gone, and sends the whole."""
        self.forget(lane)
        try:
            self._held.grow(latest.size)
        except ApiError:
            return
        self._latest[lane] = latest

    def forget(self, lane: str, named: str = "") -> None:
        """What the lane said last; only if that is its name, where one is given."""
        latest = self._latest.get(lane)
        if latest is not None and (not named or latest.response(named) is not None):
            del self._latest[lane]
            self._held.grow(-latest.size)

    def free(self) -> None:
        self._latest.clear()
        self._held.free()
