"""What is known of a tool: its files, what belongs into them, and what it will ask with."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hontoni_cli.documents import checked, dotenv, jsonc, toml, yaml

JSON, TOML, YAML, ENV = jsonc, toml, yaml, dotenv

CHAT, RESPONSES, MESSAGES, GENERATE, TOOLS = "chat", "responses", "messages", "gemini", "mcp"


@dataclass(frozen=True)
class Place:
    """What a tool is told: the gateway's address, a key for it, and a model."""

    url: str
    key: str
    model: str

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"


@dataclass(frozen=True)
class File:
    """A file of a tool's: where it is, how it is written, and what is put where."""

    path: Path
    kind: ModuleType
    puts: tuple[tuple[tuple[str, ...], Any], ...]

    def changed(self, text: str) -> str:
        """The text with everything put, and nothing else changed. Raises ValueError."""
        return checked.put(text, self.kind, self.puts)


@dataclass(frozen=True)
class Client:
    """A tool. `models` are preferred in this order; `dialect` is how it speaks to us. `read` finds
    in its files what it was told; `after` is what its person has to do besides; what a shell says
    by the names in `shell` goes before its files."""

    name: str
    title: str
    dialect: str
    models: tuple[str, ...]
    files: Callable[[Place], Sequence[File]]
    read: Callable[[], Place | None]
    after: str = ""
    shell: tuple[str, ...] = ()

    @property
    def overruled(self) -> list[str]:
        """What of the shell goes before what its files say."""
        return [name for name in self.shell if os.environ.get(name)]


def table(kind: ModuleType, path: Path, *names: str | int) -> dict[str, Any]:
    """What a file says there by name; nothing where that is anything else."""
    found = at(kind, path, *names)
    return found if isinstance(found, dict) else {}


def at(kind: ModuleType, path: Path, *names: str | int) -> Any:
    """What a file says there; None where it does not, or cannot be read."""
    try:
        found = kind.read(path.read_text(encoding="utf-8-sig"))
        for name in names:
            found = found[name]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return found


def settings_folder(name: str) -> Path:
    """Where an editor that is made of VS Code keeps its settings."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / name / "User"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home())) / name / "User"
    return config_folder() / name / "User"


def config_folder() -> Path:
    """Of programs that keep to it on every system."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def root_of(v1: Any) -> str:
    """The address of the gateway, of one that ends in /v1."""
    return str(v1 or "").removesuffix("/").removesuffix("/v1")
