"""The tables of docs/conformance.md, from what the tests of a run found."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import product
from pathlib import Path

_TITLES = {
    "openai_chat": "Chat",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
    "gemini": "Gemini",
}
_HEAD = """\
# Conformance

Written by `make conformance` from one run through the product, against vendors that refuse what
the real ones refuse. No cell is written by hand. ✓ passed, ✗ failed, – does not exist there.
"""
_AGENTS = """\
## Agents

From the public registries, headless, each in a home of its own with nothing but the address and a
key of a product that was just started empty. ✓: the agent wrote the file it was asked for with
this run's random content, told the final answer, ended by itself, none of its requests was refused
or failed, and afterwards the books balanced to the last nano-dollar.
"""
_FRAMEWORKS = """\
## Frameworks

From the public registries, each in an environment of its own, by each of their providers, with
nothing set but the address and a key. ✓: text with its usage, a stream, a loop of two calls of a
tool and a structured answer were what they must be, none of the requests was refused or failed,
and afterwards the books balanced to the last nano-dollar.
"""
_EDITORS = """\
## Editors

Cursor cannot be run without a screen. These are its requests as public reports quote or describe
them, replayed byte for byte but for the name of the model; each file of
`tests/conformance/editors/` names its source. ✓: answered in the shape that it reads, and the
vendor was sent nothing that it would refuse. Windsurf speaks a protocol of its own to its own
servers; no public recording of a request of its to an address like ours was found, so it has no
row.
"""
_BATCHES = """\
## Batches

By the vendors' own SDKs in Python: a file uploaded, looked at, run as a batch, its results and
errors read line by line, all of it listed and deleted; or a batch of messages. ✓: each request was
answered as its endpoint answers, a bad one failed by itself, and what was booked is what was run.
"""
_NOT_RUN = "Not in this run.\n"
_NODE = Path(__file__).parent / "node" / "package.json"

Cell = tuple[str, str, str]  # what was tested, client dialect, upstream dialect
Found = list[tuple[str, str]]  # outcome, reason


@dataclass
class Board:
    """Fed test by test, in their order."""

    _sdks: dict[str, dict[Cell, Found]] = field(default_factory=dict)
    _agents: dict[str, dict[str, Found]] = field(default_factory=dict)
    _frameworks: dict[str, dict[str, Found]] = field(default_factory=dict)
    _editors: dict[str, dict[str, Found]] = field(default_factory=dict)
    _batches: dict[str, dict[str, Found]] = field(default_factory=dict)

    def note(self, test: str, params: Mapping[str, str], outcome: str, reason: str) -> None:
        """What one test found; `params` are those it is parametrized with."""
        if "family" in params:
            name = test.removeprefix("test_").replace("_", " ")
            family = self._sdks.setdefault(params["family"], defaultdict(list))
            family[name, params["dialect"], params["upstream"]].append((outcome, reason))
        for kind, rows in self._rows().items():
            if kind in params:
                row = rows.setdefault(params[kind], defaultdict(list))
                row[params["model"]].append((outcome, reason))

    def _rows(self) -> dict[str, dict[str, dict[str, Found]]]:
        return {
            "agent": self._agents,
            "framework": self._frameworks,
            "editor": self._editors,
            "batch": self._batches,
        }

    def text(self) -> str:
        parts = [_HEAD]
        for family, found in self._sdks.items():
            parts.append(f"\n## {family} SDKs\n\n{_versions(family)}, streamed and unary.\n")
            parts.append(_sdk_table(found))
        heads = (_AGENTS, _FRAMEWORKS, _EDITORS, _BATCHES)
        for head, rows in zip(heads, self._rows().values(), strict=True):
            parts += [head, _agent_table(rows) if rows else _NOT_RUN]  # pages link to each head
        return "\n".join(parts)


def _versions(family: str) -> str:
    if family == "Python":
        packages = {name: version(name) for name in ("openai", "anthropic", "google-genai")}
    else:
        packages = json.loads(_NODE.read_text())["dependencies"]
    return " and ".join(f"`{name}` {number}" for name, number in packages.items())


def _sdk_table(found: Mapping[Cell, Found]) -> str:
    names = list(dict.fromkeys(name for name, _, _ in found))
    pairs = {(dialect, upstream) for _, dialect, upstream in found}
    columns = [pair for pair in product(_TITLES, repeat=2) if pair in pairs]
    heads = [f"{_TITLES[dialect]} → {_TITLES[upstream]}" for dialect, upstream in columns]
    rows = [[name, *(_mark(found[(name, *column)]) for column in columns)] for name in names]
    absent = [cell for cell in found.values() if _mark(cell) == "–"]
    reasons = sorted({why for cell in absent for _, why in cell if why})
    return _table([["", *heads], *rows]) + f"\n–: {'; '.join(reasons)}.\n" * bool(reasons)


def _agent_table(agents: Mapping[str, Mapping[str, Found]]) -> str:
    models = list(dict.fromkeys(model for found in agents.values() for model in found))
    rows = []
    for agent, found in agents.items():
        rows.append([agent, *(_told(found.get(model, [])) for model in models)])
    return _table([["", *(f"`{model}`" for model in models)], *rows])


def _told(found: Found) -> str:
    reasons = sorted({why for _, why in found if why})
    return f"not run: {'; '.join(reasons)}" if reasons else _mark(found)


def _mark(found: Found) -> str:
    outcomes = {outcome for outcome, _ in found}
    if "failed" in outcomes:
        return "✗"
    return "✓" if "passed" in outcomes else "–"


def _table(rows: Iterable[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
