"""What a document says at a path, and what it says beside some paths. Of a list, the items that
have the same name as a value are at its path."""

import copy
from collections.abc import Sequence
from typing import Any

Put = tuple[tuple[str, ...], Any]
NONE = object()


def at(document: Any, path: tuple[str, ...], like: Any) -> Any:
    """What is there; NONE where nothing is."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return NONE
        document = document[name]
    if isinstance(document, list) and isinstance(like, dict):
        return next((each for each in document if is_named(each, like)), NONE)
    return document


def is_named(item: Any, like: dict[str, Any]) -> bool:
    return isinstance(item, dict) and item.get("name") == like.get("name")


def others(document: Any, puts: Sequence[Put]) -> Any:
    """What is in it beside what is put."""
    left = copy.deepcopy(document)
    for path, value in puts:
        _take_out(left, path, value)
    return _pruned(left)


def _take_out(document: Any, path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        document = document.get(name) if isinstance(document, dict) else None
    if not isinstance(document, dict):
        return
    here = document.get(path[-1])
    if isinstance(here, list) and isinstance(value, dict):
        here[:] = [each for each in here if not is_named(each, value)]
    else:
        document.pop(path[-1], None)


def _pruned(value: Any) -> Any:
    """Without members that hold nothing: they are made, and gone, with what they hold."""
    if not isinstance(value, dict):
        return value
    kept = {name: _pruned(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each not in ({}, [], None)}
