"""Installs a framework from the public registries, at the versions written down here, into a
folder of its own."""

import json
import os
import shutil
import sys
from pathlib import Path

from tests.conformance.agents.installation import NPM, run
from tests.conformance.sdks import NODE

HERE = Path(__file__).parent
# What these depend on they pin or bound themselves, as for whoever installs them today.
PYTHON: dict[str, tuple[str, ...]] = {
    "langchain": (
        *("langchain-openai==1.7.4", "langchain-anthropic==1.7.10"),
        "langchain-google-genai==4.4.3",
    ),
    "pydantic-ai": ("pydantic-ai-slim[anthropic,google,openai]==2.68.0",),
    "litellm": ("litellm==1.110.2",),
}


def version(name: str) -> str:
    """The one that is installed: of the first of its packages."""
    if name in PYTHON:
        return PYTHON[name][0].partition("==")[2]
    pinned = json.loads((HERE / "locks" / name / "package.json").read_text())["dependencies"]
    return str(pinned.get("ai") or next(iter(pinned.values())))


def command(name: str, folder: Path) -> list[str]:
    """What runs a driver of it; what is there already is not installed again. Raises
    NotInstallable."""
    home = (folder / name).resolve()
    return [str(_python(name, home))] if name in PYTHON else _node(name, home)


def _python(name: str, home: Path) -> Path:
    wanted, done = "\n".join(PYTHON[name]), home / "done"
    if not (done.exists() and done.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(home)], Path.cwd(), dict(os.environ))
        run([str(home / "bin" / "pip"), "install", "-q", *PYTHON[name]], home, dict(os.environ))
        done.write_text(wanted)
    return home / "bin" / "python"


def _node(name: str, home: Path) -> list[str]:
    """Its driver is copied beside what it imports: that is where Node looks."""
    wanted, done = HERE / "locks" / name / "package-lock.json", home / "done"
    if not (done.exists() and done.read_bytes() == wanted.read_bytes()):
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(HERE / "locks" / name, home)
        env = os.environ | {"PATH": f"{NODE.parent}:{os.environ['PATH']}"}
        run([str(NODE), str(NPM), "install", "--no-audit", "--no-fund"], home, env)
        done.write_bytes(wanted.read_bytes())
    for each in (HERE / "drivers").glob("*.mjs"):
        shutil.copy(each, home)
    return [str(NODE)]
