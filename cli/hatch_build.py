"""What checks a receipt is the product's own, as it stands: it goes into the wheel, and into the
source archive, of which a wheel can be built in turn."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OURS = ("__init__.py", "canonical.py", "merkle.py", "verify.py")


class WithVerify(BuildHookInterface):  # type: ignore[type-arg]
    """Named by pyproject.toml."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        here = Path(self.root)
        folder = here / "hontoni" if (here / "hontoni").is_dir() else here.parent / "hontoni"
        for name in OURS:
            build_data["force_include"][str(folder / name)] = f"hontoni/{name}"
