"""Calls as the client knows them: its names and namespaces, the raw text of its custom tools,
and the structured answer that was asked for through a tool."""

from gateway.dialects.codecs import wire
from gateway.dialects.codecs.structured import ANSWER
from gateway.dialects.codecs.tools import INPUT, Toolbox
from gateway.dialects.ir import ArgsDelta, CallOpen, Close, Event, Finish, TextDelta, TextOpen


class Restore:
    """A filter over the events of one stream."""

    __slots__ = ("_answer", "_args", "_box", "_calls")

    def __init__(self, box: Toolbox) -> None:
        self._box = box
        self._args: dict[int, list[str]] = {}  # of open custom calls: unwrapped when whole
        self._answer: int | None = None
        self._calls = 0

    def feed(self, event: Event) -> list[Event]:
        if isinstance(event, CallOpen):
            return [self._open(event)]
        if isinstance(event, ArgsDelta):
            return self._delta(event)
        if isinstance(event, Close) and event.index in self._args:
            text = _unwrapped("".join(self._args.pop(event.index)))
            return [ArgsDelta(event.index, text), event] if text else [event]
        if isinstance(event, Finish) and event.reason == "tool_calls" and not self._calls:
            return [Finish("stop", event.raw)]
        return [event]

    def _open(self, event: CallOpen) -> Event:
        if event.name == ANSWER:
            self._answer = event.index
            return TextOpen(event.index)
        self._calls += 1
        (namespace, name), kind = self._box.restore(event.name)
        if kind == "custom" and event.kind != "custom":
            self._args[event.index] = []
        kind = kind if event.kind == "function" else event.kind
        kind = "function" if self._box.is_plain((namespace, name)) else kind
        namespace = event.namespace or namespace
        return CallOpen(event.index, event.call_id, name, namespace, kind, event.carriers)

    def _delta(self, event: ArgsDelta) -> list[Event]:
        if event.index == self._answer:
            return [TextDelta(event.index, event.text)]
        if event.index in self._args:
            self._args[event.index].append(event.text)
            return []
        return [event]


def _unwrapped(args: str) -> str:
    """A custom tool's text out of the JSON it was wrapped in; what is no such JSON stays."""
    value = wire.load(args)
    text = value.get(INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else args
