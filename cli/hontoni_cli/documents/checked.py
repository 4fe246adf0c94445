"""Values put into a file, and looked at afterwards: what a writer of a format gets wrong, or what
would push aside something else, is told instead of written."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from hontoni_cli.documents.paths import Put, at, others


def put(text: str, kind: ModuleType, puts: Sequence[Put]) -> str:
    """The text with everything put, and nothing else in it changed. Raises ValueError."""
    before = _said(text, kind)
    for path, value in puts:
        text = kind.put(text, path, value)
    after = kind.read(text)
    for path, value in puts:
        if at(after, path, value) != value:
            raise ValueError(f"{'.'.join(path)} cannot be put into it")
    if others(before, puts) != others(after, puts):
        raise ValueError("something else is where its settings belong")
    return text


def _said(text: str, kind: ModuleType) -> Any:
    """Nothing is said by a file of nothing but comments. Raises ValueError."""
    try:
        return kind.read(text)
    except ValueError:
        if kind.read(kind.put(text, ("x",), "x")) != {"x": "x"}:
            raise
        return {}
