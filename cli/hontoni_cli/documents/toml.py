"""TOML, with its comments and order."""

from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError


def read(text: str) -> dict[str, Any]:
    """What it says. Raises ValueError."""
    return dict(_parsed(text).unwrap())


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """With that value at the path. Raises ValueError."""
    document = _parsed(text)
    table: Any = document
    for name in path[:-1]:
        if not isinstance(table.get(name), dict):
            # Headers are written for the innermost table alone, as people do.
            table[name] = tomlkit.table(is_super_table=name == path[0])
        table = table[name]
    table[path[-1]] = value
    return tomlkit.dumps(document)


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
