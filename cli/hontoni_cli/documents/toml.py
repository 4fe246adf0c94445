"""TOML, with its comments and order."""

import re
import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def read(text: str) -> dict[str, Any]:
    """What it says. Raises ValueError."""
    return tomllib.loads(text)


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """With that value at the path. Raises ValueError."""
    wanted = _with(read(text), path, value)
    try:
        changed = _in_place(text, path, value)
        if read(changed) == wanted:
            return changed
    except (ValueError, TOMLKitError, TypeError, AttributeError):
        pass
    # Where tables are opened by dotted names the library puts some values into the wrong one.
    return _beside(text, path, value)


def _with(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Raises ValueError where something else is on the way."""
    if len(path) == 1:
        return {**document, path[0]: value}
    below = document.get(path[0], {})
    if not isinstance(below, dict):
        raise ValueError(f"{path[0]} is no table")
    return {**document, path[0]: _with(below, path[1:], value)}


def _in_place(text: str, path: tuple[str, ...], value: Any) -> str:
    document = _parsed(text)
    table: Any = document
    for name in path[:-1]:
        if not isinstance(table.get(name), dict):
            inline = isinstance(table, InlineTable)
            # Headers are written for the innermost table alone, as people do.
            made = tomlkit.table(is_super_table=name == path[0])
            table[name] = tomlkit.inline_table() if inline else made
        table = table[name]
    table[path[-1]] = value
    return tomlkit.dumps(document)


def _beside(text: str, path: tuple[str, ...], value: Any) -> str:
    """A value that is not there yet: at the top, by its whole name, which opens no table."""
    name = ".".join(each if _PLAIN.fullmatch(each) else f'"{each}"' for each in path)
    return f"{name} = {tomlkit.item(value).as_string()}\n{text}"


def remove(text: str, path: tuple[str, ...], _: Any = None) -> str:
    """Without what is at the path. Raises ValueError."""
    document = _parsed(text)
    table: Any = document
    for name in path[:-1]:
        table = table.get(name, {})
    table.pop(path[-1], None)
    return tomlkit.dumps(document)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ValueError(str(error)) from None
