"""What every driver does: `run` it with four functions. Prints one JSON object."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

ROOT, KEY, MODEL = (os.environ[name] for name in ("ROOT", "KEY", "MODEL"))
PROVIDER = sys.argv[1]
TEXT = "Say it. [[think: Planning.]] [[say: A short and friendly answer.]]"
TOOLS = (
    'Look. [[think: Planning.]] [[tool: {"name": "lookup", "args": {"at": "here"}}]] '
    '[[tool: {"name": "lookup", "args": {"at": "there"}}]] [[say: Found {result}]]'
)
JSON = 'Who? [[json: {"name": "Ann", "age": 7}]]'


def lookup(at: str) -> str:
    """Looks up what is there."""
    return f"42-{at}"


def run(**cases: Callable[[], Any]) -> None:
    """Each case's outcome, or what it raised."""
    found = {}
    for name, case in cases.items():
        try:
            found[name] = {"said": case()}
        except Exception as error:
            found[name] = {"raised": f"{type(error).__name__}: {error}"[:2000]}
    sys.stdout.write(json.dumps(found))
