"""Installs an agent from the public registry, at the version written down here, into a folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conformance.sdks import NODE

LOCKS = Path(__file__).parent / "locks"
NPM = NODE.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
# All that it depends on is pinned by aider itself.
AIDER = "aider-chat==0.86.2"
SECONDS = 900


class NotInstallable(Exception):
    """Says why, in one line."""


def version(name: str) -> str:
    """The one that is installed."""
    if name == "aider":
        return AIDER.partition("==")[2]
    (pinned,) = json.loads((LOCKS / name / "package.json").read_text())["dependencies"].values()
    return str(pinned)


def install(name: str, folder: Path) -> Path:
    """The folder with its commands. What is there already is not installed again."""
    home = (folder / name).resolve()
    return _aider(home) if name == "aider" else _node(name, home)


def _node(name: str, home: Path) -> Path:
    """By a lockfile of its own: one agent that cannot be had takes no other with it."""
    wanted, done = LOCKS / name / "package-lock.json", home / "done"
    if not (done.exists() and done.read_bytes() == wanted.read_bytes()):
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(LOCKS / name, home)
        env = os.environ | {"PATH": f"{NODE.parent}:{os.environ['PATH']}"}
        # Not `ci`: a lockfile need not list what is for other platforms only.
        run([str(NODE), str(NPM), "install", "--no-audit", "--no-fund"], home, env)
        done.write_bytes(wanted.read_bytes())
    return home / "node_modules" / ".bin"


def _aider(home: Path) -> Path:
    done = home / AIDER
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(home)], Path.cwd(), dict(os.environ))
        run([str(home / "bin" / "pip"), "install", "-q", AIDER], home, dict(os.environ))
        done.touch()
    return home / "bin"


def run(command: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run it to its end. Raises NotInstallable."""
    env.pop("SSL_CERT_FILE", None)  # the tests trust nobody, but a registry has to be
    try:
        subprocess.run(
            command, cwd=folder, env=env, check=True, capture_output=True, text=True,
            timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotInstallable(f"installing took more than {SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if "error" in line.lower()]
        raise NotInstallable(said[-1][:200] if said else f"exit {error.returncode}") from None
