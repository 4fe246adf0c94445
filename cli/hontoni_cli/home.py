"""What the command keeps, in a folder that only its owner reads: the login, and what `undo` needs.

HONTONI_HOME names another folder.
"""

import json
import os
from pathlib import Path
from typing import Any


def folder() -> Path:
    """Made with the first that is kept."""
    given = os.environ.get("HONTONI_HOME")
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(given) if given else base / "hontoni"


def keep(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read, whole or not at all."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    replace(path, content, 0o600)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file in the place of the one there, whole or not at all; of a link its target."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(beside, mode)  # whatever the umask takes away
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read(path: Path) -> Any:
    """A file of ours; None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def write(path: Path, value: Any) -> None:
    keep(path, json.dumps(value, indent=1).encode())
