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
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench import cost
from bench.load import Failed
from bench.servers import START_SECONDS, Server, free_port, running

# What of its processes is what, by their command lines.
PROCESSES = {
    "gateway": r"-m uvicorn hontoni\.asgi",
    "Valkey": r"valkey-server",
    "settlement": r"manage\.py settle",
    "worker": r"celery|hontoni\.worker",
}


@dataclass(frozen=True)
class Product:
    """A running installation, and the environment in which another process joins it."""

    server: Server
    env: dict[str, str]
    supervisor: int


@dataclass(frozen=True)
class Installation:
    """One that runs: nobody has signed up yet."""

    port: int
    env: dict[str, str]
    supervisor: int


def environment(upstream: int | None, home: Path, port: int, database: str = "") -> dict[str, str]:
    """Complete, so that neither the caller's environment nor a .env file gets in."""
    vendor, key = (f"http://127.0.0.1:{upstream}", "bench") if upstream else ("", "")
    return {
        "DJANGO_SETTINGS_MODULE": "hontoni.settings",
        "DATA_DIR": str(home / "var"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": database,
        "SECRET_KEY": "for-the-bench-only-for-the-bench-only-for-the-bench-only",
        "REDIS_URL": "",
        "OPENAI_API_KEY": key,
        "OPENAI_BASE_URL": f"{vendor}/v1",
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_BASE_URL": vendor,
        "GEMINI_API_KEY": "",
        "STRIPE_SECRET_KEY": "",
        "DATABASE_PATIENCE_SECONDS": "20",  # a busy machine is slow, and not down
    }


@contextmanager
def installed(
    upstream: int | None, home: Path, *, database: str = "", processes: int = 1
) -> Iterator[Installation]:
    """`make run`, ready: with a fake vendor, or else in the sandbox; on SQLite unless a database
    is named. Raises RuntimeError with the log's tail if it does not start."""
    port, log = free_port(), home / "product.log"
    env = environment(upstream, home, port, database) | {"WEB_CONCURRENCY": str(processes)}
    with running([sys.executable, "-m", "hontoni.supervisor"], log=log, env=env) as supervisor:
        _wait_until_ready(supervisor, port, log)
        try:
            yield Installation(port, env, supervisor.pid)
        except Failed:
            sys.stderr.write(log.read_text()[-2000:])  # what the product said of it
            raise


@contextmanager
def product(
    upstream: int, home: Path, *, database: str = "", processes: int = 1
) -> Iterator[Product]:
    """The same with a customer."""
    with installed(upstream, home, database=database, processes=processes) as here:
        headers = {"authorization": f"Bearer {customers(here.env, 1)[0]}"}
        pids = _processes(here.supervisor)
        beside = {name: found[0] for name, found in pids.items() if name != "gateway"}
        server = Server("Hontoni", here.port, pids["gateway"], beside, headers)
        yield Product(server, here.env, here.supervisor)


def _wait_until_ready(supervisor: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while supervisor.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"The product did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def on_database(name: str, upstream: int, home: Path, *, processes: int = 1) -> Iterator[Product]:
    """The same on `sqlite`, or on a `postgres` of its own, told apart as `database`."""
    if name == "sqlite":
        with product(upstream, home, processes=processes) as running:
            yield running
        return
    from bench.web import postgres

    with postgres(home) as url, product(upstream, home, database=url, processes=processes) as it:
        pid = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
        server = replace(it.server, beside={**it.server.beside, "database": pid})
        yield replace(it, server=server)


def customers(env: dict[str, str], count: int) -> list[str]:
    """The keys of customers made for this run."""
    command = [sys.executable, "-m", "bench.customer", str(count)]
    made = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(f"No customer:\n{made.stderr[-2000:]}")
    return made.stdout.split()


def _processes(supervisor: int) -> dict[str, tuple[int, ...]]:
    """Who is who, once all of them are there; a busy machine answers before that."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        commands: dict[int, str] = {}
        for pid in cost.family(supervisor):
            with suppress(ProcessLookupError):  # one that has just ended
                commands[pid] = cost.command_line(pid)
        found = {
            name: tuple(pid for pid, line in commands.items() if re.search(pattern, line))
            for name, pattern in PROCESSES.items()
        }
        missing = [name for name, pids in found.items() if not pids]
        if not missing:
            return found
        if time.monotonic() > deadline:
            raise RuntimeError(f"not running: {', '.join(missing)}")
        time.sleep(0.05)
