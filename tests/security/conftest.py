"""A gateway in a process of its own, as it is started in production, with little patience."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection

from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
COMMAND = (ROOT / "Procfile").read_text().partition("web: ")[2].partition("\n")[0]
HASTE = {
    "HEADER_SECONDS": "1",
    "BODY_SECONDS": "3",
    "MAX_CONNECTIONS_PER_ADDRESS": "40",
    "MAX_BODIES_BYTES": str(80 * 1024 * 1024),
    "CONCURRENCY_WAIT_SECONDS": "0",
    "UVICORN_TIMEOUT_KEEP_ALIVE": "2",
}


@dataclass(frozen=True)
class Process:
    """A running gateway."""

    port: int
    pid: int
    log: Path
    opened: list[socket.socket] = field(default_factory=list)

    def connect(self, *pieces: bytes, host: str = "127.0.0.1") -> socket.socket:
        """A connection of ours to it, on which so much was sent."""
        client = socket.create_connection(("127.0.0.1", self.port), 20, (host, 0))
        self.opened.append(client)
        for piece in pieces:
            client.sendall(piece)
        return client

    def hang_up(self) -> None:
        """End every connection of ours."""
        while self.opened:
            self.opened.pop().close()

    def http(self, host: str = "127.0.0.1") -> httpx.Client:
        """An honest client at that address."""
        away = httpx.HTTPTransport(local_address=host)
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", transport=away, timeout=30)

    def megabytes(self) -> int:
        """What it occupies of the machine's memory."""
        told = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert told is not None
        return int(told[1]) // 1024


def heard(client: socket.socket, seconds: float = 15.0) -> bytes:
    """All that is said on a connection until it is closed."""
    client.settimeout(seconds)
    found = b""
    with suppress(ConnectionError):
        while piece := client.recv(65536):
            found += piece
    return found


@contextmanager
def process(home: Path, **changes: str) -> Iterator[Process]:
    """One beside the tests, on their SQLite and their Valkey."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        **changes,
    }
    command = COMMAND.replace("$HOST", "127.0.0.1").replace("$PORT", str(port)).split()
    log = home / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 90
        while running.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        assert running.poll() is None, log.read_text()
        yield Process(port, running.pid, log)
    finally:
        running.terminate()
        running.wait(40)


@pytest.fixture(scope="module")
def _hasty(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory, _valkey: None
) -> Iterator[Process]:
    with process(tmp_path_factory.mktemp("edge"), **HASTE) as running:
        yield running


@pytest.fixture
def hasty(_hasty: Process, transactional_db: None) -> Iterator[Process]:
    """With a seeded catalogue. Its connections are closed when the test ends."""
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue

    seed_billing()
    seed_catalogue()
    yield _hasty
    _hasty.hang_up()
