"""Anthropic counts the cache apart from the input, and thinking inside the output."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.dialects.codecs.tokens import apart, count
from gateway.dialects.ir import NO_TALLY, Iteration, Tally, Usage

# One container serves all the code of a request.
_IN_A_CONTAINER = ("code_execution", "bash_code_execution", "text_editor_code_execution")
_BEGUN = ("server_tool_use", "compaction")  # blocks that show what more than a message was made
_STANDARD = Tally(applied={"service_tier": "standard"})
_KNOWN = frozenset(("iterations", "server_tool_use", "speed", "inference_geo"))
_APPLIED = ("service_tier", "speed", "inference_geo")  # the members that change the price


def decode_usage(wire: Mapping[str, Any]) -> Usage:
    """The `usage` of a message, un-nested (protocols.md section 3.2), all iterations together.

    The top level leaves out what compaction and advisors used, so those are added; unless a
    fallback served the message, whose top level has all but the advisors'.
    """
    iterations = wire.get("iterations")
    if not iterations:  # nearly always
        return _decode_one(wire)
    counted = [wire, *_apart(_entries(iterations))]
    return Usage(*map(sum, zip(*map(_decode_one, counted), strict=True)))


def decode_tally(reply: Mapping[str, Any], *, ended: bool = True) -> Tally:
    """What the usage of a message tells beside tokens in all. Uses of a tool that it has no
    counter for are counted by the blocks that begin them; so are all of a message that was cut,
    whose counters come at its end."""
    wire, content = reply.get("usage") or {}, reply.get("content") or ()
    if _KNOWN.isdisjoint(wire) and not any(map(_is_use, content)):  # nearly always
        return _STANDARD if wire.get("service_tier") == "standard" else NO_TALLY
    entries = _entries(wire.get("iterations"))
    plain = len(entries) == 1 and entries[0].get("type") == "message"
    return Tally(
        iterations=() if plain else tuple(map(_iteration, entries)),
        calls=_calls(wire.get("server_tool_use"), content, ended),
        applied={name: raw for name in _APPLIED if isinstance(raw := wire.get(name), str)},
    )


def _is_use(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in _BEGUN


def _calls(counters: Any, content: Iterable[Any], ended: bool) -> Mapping[str, int]:
    counters = counters if isinstance(counters, dict) else {}
    calls = {name: max(0, count(counters, name)) for name in counters}
    begun = Counter(
        str(block.get("name") or block.get("type")) for block in content if _is_use(block)
    )
    if any(name in _IN_A_CONTAINER for name in begun):
        calls["code_execution_containers"] = 1
    for name, times in begun.items():
        calls[name] = times
        if not ended:
            calls[f"{name}_requests"] = max(times, calls.get(f"{name}_requests", 0))
    return calls


def _iteration(entry: Mapping[str, Any]) -> Iteration:
    return Iteration(_decode_one(entry), str(entry.get("type")), str(entry.get("model") or ""))


def _decode_one(wire: Mapping[str, Any]) -> Usage:
    hourly = count(wire, "cache_creation", "ephemeral_1h_input_tokens")
    written = count(wire, "cache_creation_input_tokens")
    if written >= 0:  # some hosts tell the parts alone
        written = max(written, hourly + count(wire, "cache_creation", "ephemeral_5m_input_tokens"))
    hourly = min(hourly, max(written, 0))
    output = count(wire, "output_tokens")
    thinking = min(count(wire, "output_tokens_details", "thinking_tokens"), max(output, 0))
    return Usage(
        input=count(wire, "input_tokens"),
        cache_read=count(wire, "cache_read_input_tokens"),
        cache_write_5m=apart(written, hourly),
        cache_write_1h=hourly,
        output=apart(output, thinking),
        reasoning=thinking,
    )


def _entries(iterations: Any) -> list[Mapping[str, Any]]:
    raw = iterations if isinstance(iterations, list) else []
    return [each for each in raw if isinstance(each, Mapping)]


def _apart(entries: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Those which the top level leaves out."""
    fell_back = any(each.get("type") == "fallback_message" for each in entries)
    left = ("advisor_message",) if fell_back else ("advisor_message", "compaction")
    yield from (each for each in entries if each.get("type") in left)


def encode_usage(usage: Usage) -> dict[str, Any]:
    """Every field present and a number: an agent without them loops."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output + usage.reasoning,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "service_tier": "standard",
    }
