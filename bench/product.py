"""The real product, everything on, as `make run` starts it; only the vendors are fake.

Its own DATA_DIR with an embedded Valkey and a migrated, seeded SQLite; one customer with a key, a
million dollars and a plan whose limits are out of reach, so that every one is checked and none
binds. Valkey, settlement and the worker (with beat) are told apart from the gateway process.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench import cost
from bench.servers import START_SECONDS, Server, free_port, running

# What of its processes is what, by their command lines.
PROCESSES = {
    "gateway": r"-m uvicorn hontoni\.asgi",
    "Valkey": r"valkey-server",
    "settlement": r"manage\.py settle",
    "worker": r"-m celery .* worker",
}


@dataclass(frozen=True)
class Product:
    """A running installation, and the environment in which another process joins it."""

    server: Server
    env: dict[str, str]


def environment(upstream: int, home: Path, port: int, database: str = "") -> dict[str, str]:
    """Complete, so that neither the caller's environment nor a .env file gets in."""
    vendor = f"http://127.0.0.1:{upstream}"
    return {
        "DJANGO_SETTINGS_MODULE": "hontoni.settings",
        "DATA_DIR": str(home / "var"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": database,
        "SECRET_KEY": "for-the-bench-only-for-the-bench-only-for-the-bench-only",
        "REDIS_URL": "",
        "OPENAI_API_KEY": "bench",
        "OPENAI_BASE_URL": f"{vendor}/v1",
        "ANTHROPIC_API_KEY": "bench",
        "ANTHROPIC_BASE_URL": vendor,
        "GEMINI_API_KEY": "",
        "STRIPE_SECRET_KEY": "",
    }


@contextmanager
def product(upstream: int, home: Path, *, database: str = "") -> Iterator[Product]:
    """Started, seeded and ready, on SQLite unless a database is named.

    Raises RuntimeError with the log's tail if it does not start.
    """
    port, log = free_port(), home / "product.log"
    env = environment(upstream, home, port, database)
    with running([sys.executable, "-m", "hontoni.supervisor"], log=log, env=env) as supervisor:
        _wait_until_ready(supervisor, port, log)
        headers = {"authorization": f"Bearer {_customer(env)}"}
        pids = _processes(supervisor.pid)
        server = Server("Hontoni", port, (pids.pop("gateway"),), beside=pids, headers=headers)
        yield Product(server, env)


def _wait_until_ready(supervisor: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while supervisor.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"The product did not start:\n{log.read_text()[-2000:]}")


def _customer(env: dict[str, str]) -> str:
    """The key of a customer made for this run."""
    command = [sys.executable, "-m", "bench.customer"]
    made = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(f"No customer:\n{made.stderr[-2000:]}")
    return made.stdout.strip()


def _processes(supervisor: int) -> dict[str, int]:
    """Who is who; a busy machine answers before all of them are there."""
    deadline, found = time.monotonic() + START_SECONDS, dict[str, int]()
    while len(found) < len(PROCESSES) and time.monotonic() < deadline:
        time.sleep(0.05)
        for pid in cost.family(supervisor):
            with suppress(ProcessLookupError):  # one that has just ended
                line = cost.command_line(pid)
                for name, pattern in PROCESSES.items():
                    if re.search(pattern, line):
                        found.setdefault(name, pid)
    return found
