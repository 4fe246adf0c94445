"""Which browser the tests drive: the machine's Chromium, or the one that `make chromium` brings.

What is brought comes out of an npm package, so it needs neither root nor a package manager: the
headless shell, the libraries it wants and a font, beside the fonts that the machine has.
"""

import os
import shutil
from pathlib import Path
from typing import TypedDict

_FOLDER = Path(__file__).parent
_BROUGHT = _FOLDER / "node_modules" / ".unpacked"

MISSING = "there is no Chromium; `make chromium` brings one"


class Launch(TypedDict):
    """What Playwright is to start, and with which environment."""

    executable_path: str
    env: dict[str, str | float | bool]


def found() -> Launch | None:
    """The browser of this machine; nothing where there is none."""
    if installed := shutil.which("chromium") or shutil.which("chromium-browser"):
        return Launch(executable_path=installed, env={**os.environ})
    if (_BROUGHT / "chromium").is_file():
        own = {
            "LD_LIBRARY_PATH": str(_BROUGHT / "al2023" / "lib"),
            "FONTCONFIG_FILE": str(_FOLDER / "fonts.conf"),
        }
        return Launch(executable_path=str(_BROUGHT / "chromium"), env={**os.environ, **own})
    return None
