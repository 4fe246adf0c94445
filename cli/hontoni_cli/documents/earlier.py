"""Taking values back out of a file that somebody has changed since they were put."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from hontoni_cli.documents import dotenv, jsonc, toml, yaml
from hontoni_cli.documents.paths import NONE, Put, at, others

_KINDS: dict[str, ModuleType] = {".toml": toml, ".yaml": yaml, ".yml": yaml, "": dotenv}


def kind_of(path: Path) -> ModuleType:
    """How the file is written, by its name."""
    return _KINDS.get(path.suffix, jsonc)


def taken_back(now: str, before: str, kind: ModuleType, puts: Sequence[Put]) -> str:
    """The text of now, with what was put as it was before; what is something else by now stays,
    and so does everything that was not put. Raises ValueError."""
    kept, whole = others(kind.read(now), puts), now
    then = kind.read(before) if before.strip() else {}
    for path, value in reversed(puts):
        if at(kind.read(now), path, value) != value:
            continue
        older = at(then, path, value)
        now = kind.remove(now, path, value) if older is NONE else kind.put(now, path, older)
        for depth in range(len(path), 0, -1):  # what was made to hold it
            above = path[:depth]
            empty = at(kind.read(now), above, None) in ({}, [])
            if empty and at(then, above, None) is NONE:
                now = kind.remove(now, above)
    if now.strip() and others(kind.read(now), puts) != kept:
        raise ValueError("something else is where its settings were")
    return now if kind is jsonc else _with_comments(now, whole)


def _with_comments(text: str, whole: str) -> str:
    """With the lines of comments that went along with a value above them, at its end."""
    lost = _comments(whole) - _comments(text)
    lines = [line for line in whole.splitlines() if line in lost]
    end = "" if not text or text.endswith("\n") else "\n"
    return text + end + "".join(f"{line}\n" for line in lines) if lines else text


def _comments(text: str) -> Counter[str]:
    return Counter(line for line in text.splitlines() if line.lstrip().startswith("#"))
