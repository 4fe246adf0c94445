"""YAML, with its comments, order and quotes."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from hontoni_cli.documents.paths import is_named


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
        here[name] = here.get(name) or {}
        here = here[name]
        if not isinstance(here, dict):
            raise ValueError(f"{name} is no mapping")
    if isinstance(value, dict):
        here[path[-1]] = here.get(path[-1]) or []
        _listed(here[path[-1]], value)
    else:
        here[path[-1]] = value
    return kept + _dumped(document, text)


def remove(text: str, path: tuple[str, ...], value: Any = None) -> str:
    """Without what is at the path: of a list the item of the same `name` as `value`. Raises
    ValueError."""
    document = _parsed(text)
    here = document
    for name in path[:-1]:
        here = here.get(name) or {}
    found = here.get(path[-1])
    if isinstance(found, list) and isinstance(value, dict):
        found[:] = [each for each in found if not is_named(each, value)]
    else:
        here.pop(path[-1], None)
    return _dumped(document, text) if document else ""


def _dumped(document: Any, text: str) -> str:
    out = io.StringIO()
    _as(text).dump(document, out)
    return out.getvalue()


def _listed(items: Any, item: dict[str, Any]) -> None:
    if not isinstance(items, list):
        raise ValueError("its list is none")
    for at, known in enumerate(items):
        if is_named(known, item):
            items[at] = item
            return
    items.append(item)


def _as(text: str) -> YAML:
    """Written as it is indented."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
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
