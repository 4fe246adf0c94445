"""What falls with what: members that a vendor takes only beside others, as data.

A repair may take away what another member stands on: thinking is turned off where Claude would
miss a signature, and the edit that clears it is refused from then on. After every patch each
member here is looked at, and left out where what it needs is not there.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """`member` (a path; of a list the entries whose type begins with `entry`) needs that the
    member `needs` says one of `words`: with none, that it says anything."""

    member: str
    needs: str
    words: tuple[str, ...] = ()
    entry: str = ""


_THINKS = ("enabled", "adaptive")
RULES: dict[str, tuple[Rule, ...]] = {
    "anthropic_messages": (
        Rule(
            "context_management.edits", "thinking.type", ("enabled", "adaptive"), "clear_thinking"
        ),
        Rule("thinking.display", "thinking.type", ("enabled", "adaptive")),
        Rule("tool_choice", "tools"),
    ),
    "openai_chat": (
        Rule("tool_choice", "tools"),
        Rule("parallel_tool_calls", "tools"),
        Rule("top_logprobs", "logprobs"),
        Rule("stream_options", "stream"),
    ),
    "openai_responses": (
        Rule("parallel_tool_calls", "tools"),
        Rule("tool_choice", "tools"),
        Rule("stream_options", "stream"),
    ),
}


_CONCERNED = {
    dialect: frozenset(rule.member.partition(".")[0] for rule in rules)
    for dialect, rules in RULES.items()
}


def without_orphans(dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body, without what stands on nothing; itself where all is well."""
    if _CONCERNED[dialect].isdisjoint(body):
        return body
    for rule in RULES[dialect]:
        holder, _, name = rule.member.rpartition(".")
        within = body.get(holder) if holder else body
        if not isinstance(within, Mapping) or name not in within:
            continue
        if not _stands(rule, body):
            body = _put(body, holder, _without(within, name, rule.entry))
    return body


def _stands(rule: Rule, body: Mapping[str, Any]) -> bool:
    value: Any = body
    for name in rule.needs.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value in rule.words if rule.words else bool(value)


def _without(within: Mapping[str, Any], name: str, entry: str) -> dict[str, Any]:
    """The holder without the member, or the member without those of its entries."""
    rest = {each: value for each, value in within.items() if each != name}
    if not entry or not isinstance(within[name], list):
        return rest
    kept = [each for each in within[name] if not _type(each).startswith(entry)]
    if len(kept) == len(within[name]):
        return dict(within)
    return {**rest, name: kept} if kept else rest


def _type(entry: Any) -> str:
    return str(entry.get("type")) if isinstance(entry, Mapping) else ""


def _put(body: dict[str, Any], holder: str, now: dict[str, Any]) -> dict[str, Any]:
    """An object that nothing is left of goes, too."""
    if not holder:
        return now
    if now:
        return {**body, holder: now}
    return {name: value for name, value in body.items() if name != holder}
