"""The copies of the sources that tests edit, as those who publish them would."""

from pathlib import Path
from typing import Any

import orjson


def edit(file: Path, change: Any) -> None:
    body = orjson.loads(file.read_bytes())
    change(body)
    file.write_bytes(orjson.dumps(body))


def dearer(mirror: Path, model: str, output: float, *files: str) -> None:
    """A vendor raises a price, as these sources have it."""
    if "models.dev.json" in files:
        edit(mirror / "models.dev.json", lambda b: _of(b, model)["cost"].update(output=output))
    if "litellm.json" in files:
        per_token = float(f"{output / 1e6:.12g}")
        edit(mirror / "litellm.json", lambda b: b[model].update(output_cost_per_token=per_token))


def _of(body: Any, model: str) -> Any:
    found = next(each["models"] for each in body.values() if model in each["models"])
    return found[model]
