"""The product as it is installed: prepared by its commands, run as processes of their own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from hontoni.supervisor import _commands
from tests import prepared
from tests.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).parents[1]


class Product:
    """A prepared installation with one customer, and processes that can be started. Its
    database is a file in `home`, unless its environment's `settings` (REDIS_URL …) say another."""

    root = ROOT

    def __init__(self, home: Path, **settings: str) -> None:
        from django.conf import settings as ours

        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(home),
            "PORT": str(self.port),
            "REDIS_URL": str(ours.REDIS_URL),
            **settings,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.begin()

    def begin(self) -> None:
        """Before its first process."""
        if "DATABASE_URL" in self.environment:
            self.manage("prepare")
        else:
            prepared.install(self.home)
        self.key = self.customer("alice")

    def customer(self, name: str) -> str:
        """Somebody with $50 and the highest limits there are; the key."""
        words = f"createcustomer {name}@example.com --plan ultimate --add-on rate-limit-10x"
        words += " --credit 50 --key laptop --json"
        return str(json.loads(self.manage(*words.split()))["key"])

    def manage(self, *command: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=self.root, env=self.environment, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout

    def start(self, **settings: str) -> None:
        """The gateway, until it is ready."""
        self.run("web", **settings)
        until(lambda: self.status() == 200, self.log("web"))

    def run(self, name: str, **settings: str) -> subprocess.Popen[bytes]:
        """A process of `make run`: web, settlement or worker."""
        command = self.command(name)
        with self._log(name).open("ab") as output:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.root,
                env={**self.environment, **settings},
                stdout=output,
                stderr=output,
            )
        return self.processes[name]

    def command(self, name: str) -> list[str]:
        return _commands("127.0.0.1", self.port, str(self.home))[name]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The gateway's."""
        return self.processes["web"]

    def log(self, name: str) -> str:
        """The end of what a process said."""
        return self._log(name).read_text(errors="replace")[-3000:]

    def _log(self, name: str) -> Path:
        return self.home / f"{name}-{self.port}.log"

    def stop(self) -> None:
        """Kill what runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()

    def terminate(self, *names: str) -> None:
        """Have these, or all, end as they like to."""
        ending = {name: self.processes.pop(name) for name in names or tuple(self.processes)}
        for process in ending.values():
            process.send_signal(signal.SIGTERM)
        for name, process in ending.items():
            assert process.wait(90) in (0, -signal.SIGTERM), self.log(name)

    def status(self) -> int:
        """What /readyz says; 0 if nobody listens."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def receipts(self) -> list[dict[str, Any]]:
        """What is in the books, oldest first, once all that waits is."""
        self.manage("settle", "--once")
        return self.rows("SELECT * FROM gateway_usageevent ORDER BY id")

    def rows(self, query: str) -> list[dict[str, Any]]:
        if url := self.environment.get("DATABASE_URL"):
            with psycopg.connect(url, row_factory=dict_row) as server:
                return server.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(self.home / "hontoni.sqlite3")) as books:
            books.row_factory = sqlite3.Row
            return [dict(row) for row in books.execute(query).fetchall()]
