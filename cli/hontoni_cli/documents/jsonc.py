"""JSON as editors write it, with comments and trailing commas: values are put in place, and every
other byte stays."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_BLANK = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCALAR = re.compile(r"[^\s,\]}/]+")


class Malformed(ValueError):
    """This is no JSON, not even with comments."""


@dataclass
class _Object:
    """`start` is where it opens, `end` behind where it closes. `members` are by name: where each
    value begins and ends; the last of a name counts."""

    start: int
    end: int = 0
    members: dict[str, tuple[int, int]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)  # where each member begins
    last: int = 0  # behind the last value
    trailing: bool = False  # whether a comma follows it


def read(text: str) -> Any:
    """What it says. Raises Malformed."""
    found, end = _value(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise Malformed("something follows the end")
    return found


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """With that value at the path; what is on the way and no object becomes one. Raises
    Malformed."""
    start = _skip(text, 0)
    if start == len(text):  # nothing yet, but for comments
        text, start = text + "{}\n", len(text)
    read(text)
    return _put(text, start, path, value, _unit(text))


def _put(text: str, start: int, path: tuple[str, ...], value: Any, unit: str) -> str:
    if text[start] != "{":
        raise Malformed("its outermost value is no object")
    found = _object(text, start)
    name, rest = path[0], path[1:]
    if name not in found.members:
        return _inserted(text, found, name, _nested(rest, value), unit)
    begins, ends = found.members[name]
    if rest and text[begins] == "{":
        return _put(text, begins, rest, value, unit)
    shown = _shown(_nested(rest, value), _indent(text, begins), unit)
    return text[:begins] + shown + text[ends:]


def remove(text: str, path: tuple[str, ...], _: Any = None) -> str:
    """Without the member at the path, its comma and its line; as it is where there is none."""
    read(text)
    start = _skip(text, 0)
    found = _object(text, start)
    for name in path[:-1]:
        begins, _ends = found.members.get(name, (start, start))
        if text[begins] != "{" or begins == start:
            return text
        found = _object(text, begins)
    if path[-1] not in found.members:
        return text
    begins, ends = found.names[path[-1]], found.members[path[-1]][1]
    behind = _skip(text, ends)
    if text[behind] == ",":
        ends = behind + 1
    elif len(found.members) > 1:  # the last one: the comma before it goes, too
        before = max(e for _b, e in found.members.values() if e < begins)
        comma = text.index(",", _skip(text, before))
        text = text[:comma] + text[comma + 1 :]
        begins, ends = begins - 1, ends - 1
    line, rest = text.rfind("\n", 0, begins) + 1, text.find("\n", ends)
    if not text[line:begins].strip() and rest >= 0 and not text[ends:rest].strip():
        begins, ends = line, rest + 1
    return text[:begins] + text[ends:]


def _nested(path: tuple[str, ...], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _inserted(text: str, found: _Object, name: str, value: Any, unit: str) -> str:
    outer = _indent(text, found.start)
    inner = outer + unit
    if found.members:
        first = min(begins for begins, _ in found.members.values())
        line = _indent(text, first)
        inner = line if line != outer or "\n" not in text[found.start : first] else inner
    member = f"{inner}{json.dumps(name)}: {_shown(value, inner, unit)}"
    closing = found.end - 1
    kept = text[:closing].rstrip()  # up to the last value or comment
    comma = ""
    if found.members and not found.trailing:
        kept = kept[: found.last] + "," + kept[found.last :]
    elif found.trailing:
        comma = ","
    return f"{kept}\n{member}{comma}\n{outer}{text[closing:]}"


def _shown(value: Any, indent: str, unit: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"\n{indent}".join(lines)


def _indent(text: str, at: int) -> str:
    """How far the line of a position is indented."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _unit(text: str) -> str:
    """By how much the file indents: as its first indented line does."""
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found[1] if found else "  "


def _skip(text: str, at: int) -> int:
    """Behind blanks and comments."""
    found = _BLANK.match(text, at)
    assert found is not None
    return found.end()


def _value(text: str, at: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends."""
    match text[at : at + 1]:
        case "{":
            found = _object(text, at)
            members = found.members.items()
            return {name: _value(text, begins)[0] for name, (begins, _) in members}, found.end
        case "[":
            return _list(text, at)
        case '"':
            return _string(text, at)
    scalar = _SCALAR.match(text, at)
    if scalar is None:
        raise Malformed(f"a value is missing at {at}")
    return _loads(scalar[0]), scalar.end()


def _object(text: str, start: int) -> _Object:
    found = _Object(start)
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        begins_at = at
        name, at = _string(text, at)
        found.names[name] = begins_at
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise Malformed(f"a colon is missing at {at}")
        begins = _skip(text, at + 1)
        _, ends = _value(text, begins)
        found.members[name], found.last = (begins, ends), ends
        at, found.trailing = _next(text, ends, "}")
    found.end = at + 1
    return found


def _list(text: str, start: int) -> tuple[list[Any], int]:
    items = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        item, ends = _value(text, at)
        items.append(item)
        at, _ = _next(text, ends, "]")
    return items, at + 1


def _next(text: str, ends: int, closing: str) -> tuple[int, bool]:
    """Where it goes on behind a value, and whether by a comma."""
    at = _skip(text, ends)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1), True
    if text[at : at + 1] != closing:
        raise Malformed(f"a comma or {closing} is missing at {at}")
    return at, False


def _string(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    if found is None:
        raise Malformed(f"a name is missing at {at}")
    return str(_loads(found[0])), found.end()


def _loads(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise Malformed(f"{raw[:30]} is no value") from None
