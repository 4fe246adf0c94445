"""The figures for docs/benchmarks.md: two tables, two ratios, and what they ran on."""

import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from statistics import median

from bench.load import Result
from bench.measure import CLIENTS, PACE_MS, STREAMED, STREAMS, UNARY, Row

UNARY_GOAL, CHUNK_GOAL, TRANSLATED_GOAL = 2.2, 1.5, 3
PACKAGES = ("uvicorn", "uvloop", "httptools", "aiohttp", "starlette", "redis", "orjson", "Django")


def _at_each(values: Iterable[float], digits: int = 0) -> str:
    return " · ".join(f"{value:,.{digits}f}" for value in values)


def _medians(results: dict[int, list[Result]], read: Callable[[Result], float]) -> list[float]:
    return [median(map(read, results[clients])) for clients in CLIENTS]


def _added(
    mine: dict[int, list[Result]], direct: dict[int, list[Result]], read: Callable[[Result], float]
) -> str:
    """Milliseconds beyond the direct way, which is itself shown whole.

    Round by round; a peer takes part in the first ones only.
    """
    if mine is direct:
        return _at_each((value * 1e3 for value in _medians(mine, read)), 2)
    return _at_each(
        (
            median(read(a) - read(b) for a, b in zip(mine[clients], direct[clients], strict=False))
            * 1e3
            for clients in CLIENTS
        ),
        2,
    )


def _unary_cells(row: Row, direct: Row) -> list[str]:
    return [
        _at_each(median(row.per_request(clients)) * 1e6 for clients in CLIENTS),
        _at_each(_medians(row.unary, lambda result: result.rate)),
        _added(row.unary, direct.unary, lambda result: result.p50),
        _added(row.unary, direct.unary, lambda result: result.p99),
    ]


def _streamed_cells(row: Row, direct: Row) -> list[str]:
    return [
        f"{median(row.per_chunk) * 1e6:,.1f}",
        _at_each(_medians(row.streamed, lambda result: result.events / result.seconds)),
        _added(row.streamed, direct.streamed, lambda result: result.first_p50),
        _added(row.streamed, direct.streamed, lambda result: result.first_p99),
        f"{row.held_bytes / 1024:,.0f}" if row.held_bytes > 0 else "",
    ]


def _table(
    heads: Sequence[str],
    kind: str,
    cells: Callable[[Row, Row], list[str]],
    rows: Sequence[Row],
    absent: Sequence[str],
) -> str:
    lines = [list(heads), ["---"] + ["--:"] * (len(heads) - 1)]
    for row in rows:
        lines.append([row.name, *(["fails"] if kind in row.failures else cells(row, rows[0]))])
    lines += [[name, "not installed"] for name in absent]
    padded = (line + [""] * (len(heads) - len(line)) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def tables(rows: Sequence[Row], absent: Sequence[str]) -> str:
    """Both tables, the first row being the direct way. Many cells hold 1 · 8 · 64 clients."""
    unary = ("unary", "CPU µs a request", "requests/s", "added p50, ms", "added p99, ms")
    streamed = (
        "streamed",
        "CPU µs a chunk",
        "chunks/s",
        "added first byte p50, ms",
        "added first byte p99, ms",
        "KiB an open stream",
    )
    return "\n\n".join(
        (
            _table(unary, UNARY, _unary_cells, rows, absent),
            _table(streamed, STREAMED, _streamed_cells, rows, absent),
        )
    )


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' own ratios."""
    return median(a / b for a, b in zip(mine, theirs, strict=True))


def ratios(product: Row, bare: Row) -> str:
    """The two numbers that matter: what a request and a chunk cost, beside the bare way."""
    *fewer, most = CLIENTS
    unary = {n: _ratio(product.per_request(n), bare.per_request(n)) for n in CLIENTS}
    chunk = _ratio(product.per_chunk, bare.per_chunk)
    others = ", ".join(f"{unary[n]:.2f} × at {n}" for n in fewer)
    return (
        f"CPU of {product.name} beside the bare pass-through: **unary {unary[most]:.2f} ×** "
        f"at {most} clients ({others}; goal {UNARY_GOAL} ×), "
        f"**chunk {chunk:.2f} ×** (goal {CHUNK_GOAL} ×)."
    )


def translated(pairs: Sequence[tuple[Row, Row]]) -> str:
    """What a translated chunk costs, beside one of the same client's that passes through."""
    text = ", ".join(
        f"**{row.name.removeprefix('Hontoni ')} {_ratio(row.per_chunk, plain.per_chunk):.2f} ×**"
        for row, plain in pairs
    )
    return f"A translated chunk beside one passed through: {text} (goal {TRANSLATED_GOAL} ×)."


def beside(product: Row) -> str:
    """What works for the product, apart from its gateway process."""
    costs = product.beside(CLIENTS[-1])
    text = ", ".join(f"{name} {seconds * 1e6:,.0f} µs" for name, seconds in costs.items())
    return f"Beside the gateway process, a unary request at {CLIENTS[-1]} clients: {text}."


def how() -> str:
    """How to read the tables."""
    return (
        "Three numbers: 1 · 8 · 64 clients in a closed loop. The direct row is the vendor itself, "
        "its times whole; the other rows' times are what they add to it. A chunk's cost: "
        f"{STREAMS} streams with a chunk every {PACE_MS} ms, the request's cost taken out. "
        "Medians of interleaved rounds."
    )


def machine(load_before: float) -> str:
    """Cores, processor, how busy others kept them, system and versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({_processor()}), load average {load_before:.1f} before, "
        f"{platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}."
    )


def _processor() -> str:
    """Its name as the system tells it."""
    if platform.system() == "Darwin":
        return subprocess.check_output(
            ["sysctl", "-n", "machdep.cpu.brand_string"], text=True
        ).strip()
    with open("/proc/cpuinfo") as info:
        found = re.search(r"^model name\s*: (.*)$", info.read(), re.MULTILINE)
    return found[1] if found else platform.machine()


def failures(rows: Sequence[Row]) -> list[str]:
    """Why a row says `fails`."""
    return [
        f"{row.name}, {kind}: {reason}" for row in rows for kind, reason in row.failures.items()
    ]
