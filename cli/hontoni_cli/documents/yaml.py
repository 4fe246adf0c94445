"""YAML, with its comments, order and quotes."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent


def read(text: str) -> Any:
    """What it says; an empty one nothing. Raises ValueError."""
    return _parsed(text) or {}


def put(text: str, path: tuple[str, ...], value: Any) -> str:
    """With that value at the path. A list at the path's end gets `value`, a mapping, in the place
    of its item of the same `name`, or at its end. Raises ValueError."""
    document = _parsed(text)
    kept = ""
    if document is None:
        document = {}
        kept = text if not text or text.endswith("\n") else text + "\n"
    if not isinstance(document, dict):
        raise ValueError("its outermost value is no mapping")
    here = document
    for name in path[:-1]:
        here = here.setdefault(name, {})
    if isinstance(value, dict) and isinstance(here.get(path[-1], []), list):
        _listed(here.setdefault(path[-1], []), value)
    else:
        here[path[-1]] = value
    return kept + _dumped(document, text)


def remove(text: str, path: tuple[str, ...], value: Any = None) -> str:
    """Without what is at the path: of a list the item of the same `name` as `value`. Raises
    ValueError."""
    document = _parsed(text)
    here = document
    for name in path[:-1]:
        here = here.get(name, {})
    found = here.get(path[-1])
    if isinstance(found, list) and isinstance(value, dict):
        found[:] = [each for each in found if not _is(each, value)]
    else:
        here.pop(path[-1], None)
    return _dumped(document, text) if document else ""


def _is(item: Any, other: dict[str, Any]) -> bool:
    return isinstance(item, dict) and item.get("name") == other["name"]


def _dumped(document: Any, text: str) -> str:
    out = io.StringIO()
    _as(text).dump(document, out)
    return out.getvalue()


def _listed(items: list[Any], item: dict[str, Any]) -> None:
    for at, known in enumerate(items):
        if _is(known, item):
            items[at] = item
            return
    items.append(item)


def _as(text: str) -> YAML:
    """Written as it is indented."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.allow_duplicate_keys = True
    _, indent, offset = load_yaml_guess_indent(text or "a:\n  - b\n")
    mapping = 2 if indent is None else indent
    dashes = 0 if offset is None else offset
    yaml.indent(mapping=mapping if not dashes else 2, sequence=dashes + 2, offset=dashes)
    return yaml


def _parsed(text: str) -> Any:
    try:
        return _as("").load(text)
    except YAMLError as error:
        raise ValueError(str(error)) from None
