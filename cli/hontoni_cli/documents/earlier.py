"""Taking values back out of a file that somebody has changed since they were put."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from hontoni_cli.documents import dotenv, jsonc, toml, yaml

_KINDS: dict[str, ModuleType] = {".toml": toml, ".yaml": yaml, ".yml": yaml, "": dotenv}
_NONE = object()


def kind_of(path: Path) -> ModuleType:
    """How the file is written, by its name."""
    return _KINDS.get(path.suffix, jsonc)


def taken_back(
    now: str, before: str, kind: ModuleType, puts: Sequence[tuple[tuple[str, ...], Any]]
) -> str:
    """The text of now, with what was put as it was before; what is something else by now stays,
    and so does everything that was not put. Raises ValueError."""
    then = kind.read(before) if before.strip() else {}
    for path, value in reversed(puts):
        if _at(kind.read(now), path, value) != value:
            continue
        older = _at(then, path, value)
        now = kind.remove(now, path, value) if older is _NONE else kind.put(now, path, older)
        for depth in range(len(path), 0, -1):  # what was made to hold it
            above = path[:depth]
            empty = _at(kind.read(now), above, None) in ({}, [])
            if empty and _at(then, above, None) is _NONE:
                now = kind.remove(now, above)
    return now


def _at(document: Any, path: tuple[str, ...], like: Any) -> Any:
    """What is there; of a list the item of the same name as `like`."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return _NONE
        document = document[name]
    if isinstance(document, list) and isinstance(like, dict):
        named = (each for each in document if isinstance(each, dict))
        return next((each for each in named if each.get("name") == like.get("name")), _NONE)
    return document
