"""Copies of what the public sources answered, cut down to the models that could be sold here.

A row that is kept is kept as its source has it, but for what nobody here reads and is long. It is
from such answers alone that the copies in `data/` are made: `manage.py catalogue copy`.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from gateway.catalogue.models import Model
from gateway.pricing.sources import litellm, models_dev, openrouter
from gateway.pricing.sources.listings import Listing, Unreadable, canonical

WITHIN = timedelta(days=540)  # before the copy: what was released earlier is kept if it is sold
_LONG = frozenset(
    (
        *("description", "reasoning_options", "experimental", "rate_limits", "benchmarks"),
        *("supported_parameters", "default_parameters", "supported_voices", "links", "weights"),
        *("reasoning", "benchmarks_scores", "hugging_face_id"),
    )
)
_FILES = {
    models_dev: "models.dev.json",
    litellm: "litellm.json",
    openrouter: "openrouter.json",
}


def copy(answers: Path, copies: Path, on: date) -> dict[str, int]:
    """Make the copies in one folder anew of the answers in another, that came on a day. How many
    models each has. Raises Unreadable, and nothing is written, if one is not of its shape."""
    bodies = {module: _read(answers / file) for module, file in _FILES.items()}
    known = list(models_dev.read(bodies[models_dev]))
    names = _names(known, on)
    made: dict[str, Any] = {
        _FILES[models_dev]: _of_models_dev(bodies[models_dev], names),
        _FILES[litellm]: _of_litellm(bodies[litellm], names),
        _FILES[openrouter]: _of_openrouter(bodies[openrouter], names),
    }
    counts = {}
    for module, file in _FILES.items():
        counts[file] = len(list(module.read(made[file])))
        if not counts[file]:
            raise Unreadable(f"{file} has none of these models")
    for file, body in made.items():
        text = orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        (copies / file).write_bytes(text + b"\n")
    return counts


def _read(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"{file.name} is no JSON: {error}") from None


def _names(known: Iterable[Listing], on: date) -> set[str]:
    """What was released lately, and what is sold here."""
    late = {each.canonical for each in known if each.released and each.released >= on - WITHIN}
    return late | {canonical(name) for name in Model.objects.values_list("upstream_id", flat=True)}


def _short(row: Any) -> Any:
    """Without what is long. A word that says whether a model reasons is none of that."""
    if not isinstance(row, dict):
        return row
    return {n: v for n, v in row.items() if n not in _LONG or isinstance(v, bool)}


def _of_models_dev(body: Any, names: set[str]) -> dict[str, Any]:
    found = {}
    for known in models_dev.VENDORS:
        provider = body.get(known) or {}
        models = provider.get("models") or {}
        kept = {name: _short(row) for name, row in models.items() if canonical(name) in names}
        found[known] = {**_short(provider), "models": kept}
    return found


def _of_litellm(body: Any, names: set[str]) -> dict[str, Any]:
    return {
        name: _short(row)
        for name, row in body.items()
        if canonical(name) in names
        and isinstance(row, dict)
        and row.get("litellm_provider") in litellm.VENDORS
    }


def _of_openrouter(body: Any, names: set[str]) -> dict[str, Any]:
    rows = body.get("data") if isinstance(body, dict) else None
    kept = [
        _short(row)
        for row in rows or ()
        if canonical(str(row.get("id", ""))) in names
        and str(row.get("id", "")).partition("/")[0] in openrouter.VENDORS
    ]
    return {"data": kept}
