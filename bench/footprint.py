"""`python -m bench.footprint`: what `make run` holds and burns while nobody asks, by process.

Memory is PSS: a page that several processes share counts once. In the sandbox, as a newcomer
starts it: with no key of a vendor, and a simulated Stripe.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cost
from bench.product import installed

GOAL_MIB, GOAL_PERCENT = 250, 1.0
SETTLE_SECONDS, SECONDS = 20.0, 60.0
_SHOWN = 40  # letters of a command


@dataclass(frozen=True)
class Footprint:
    """One process, idle."""

    command: str
    pss: int  # bytes
    cpu: float  # seconds a second


def measure(supervisor: int, seconds: float) -> list[Footprint]:
    """Every process of a running product, watched for so long."""
    before = {pid: cost.cpu_seconds(pid) for pid in cost.family(supervisor)}
    time.sleep(seconds)
    found = []
    for pid, was in before.items():
        try:
            used = (cost.cpu_seconds(pid) - was) / seconds
            found.append(Footprint(cost.command_line(pid), cost.shared_bytes(pid), used))
        except ProcessLookupError:
            continue  # `prepare`, or a look at /proc of our own
    return found


def table(found: list[Footprint]) -> str:
    """By process, and all of it beside the goals."""
    lines = ["| idle | memory (PSS), MiB | CPU, % of a core |", "| --- | --: | --: |"]
    for each in found:
        command = each.command[-_SHOWN:].replace("|", " ").strip()
        lines.append(f"| `{command}` | {each.pss / 2**20:.1f} | {each.cpu * 100:.2f} |")
    pss, cpu = sum(f.pss for f in found) / 2**20, sum(f.cpu for f in found) * 100
    goal = f"goal {GOAL_MIB} MiB, {GOAL_PERCENT:.0f} %"
    return "\n".join(
        [*lines, f"| **everything `make run` starts** ({goal}) | {pss:.0f} | {cpu:.2f} |"]
    )


@contextmanager
def idle() -> Iterator[int]:
    """A product of its own; its supervisor's process."""
    with (
        tempfile.TemporaryDirectory(prefix="hontoni-bench-") as home,
        installed(None, Path(home)) as running,
    ):
        yield running.supervisor


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.footprint", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten seconds")
    quick = parser.parse_args().quick
    with idle() as supervisor:
        time.sleep(5.0 if quick else SETTLE_SECONDS)
        print(table(measure(supervisor, 10.0 if quick else SECONDS)))


if __name__ == "__main__":
    main()
