"""The product as `make run` starts it: an empty folder, free ports, and one rich customer."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from tests.ports import free_port

# Whatever is set around us or in a .env file: no vendor, no Stripe, and data of its own.
_UNSET = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "STRIPE_SECRET_KEY"),
    *("DATABASE_URL", "REDIS_URL", "BROKER_URL", "CACHE_URL"),
)
START_SECONDS, BOOKS_SECONDS = 300, 30


@dataclass(frozen=True)
class Key:
    """An API key, in clear."""

    id: int
    raw: str


@dataclass(frozen=True)
class Product:
    """Running. `api` speaks to /api as the customer."""

    url: str
    env: dict[str, str]
    api: httpx.Client

    def key(self, name: str) -> Key:
        made = self._post("/api/keys", name=name)
        return Key(made["id"], made["key"])

    def asked(self, key: Key, least: int) -> list[dict[str, Any]]:
        """What was asked with this key, oldest first, once at least so many are in the books."""
        deadline = time.monotonic() + BOOKS_SECONDS
        while True:
            reply = self.api.get("/api/usage", params={"key": key.id}).raise_for_status()
            events: list[dict[str, Any]] = reply.json()["results"]
            if len(events) >= least or time.monotonic() > deadline:
                return events[::-1]
            time.sleep(0.2)

    def refused(self, key: Key) -> list[dict[str, Any]]:
        """What was refused to this key at the door."""
        reply = self.api.get("/api/usage/refusals").raise_for_status()
        return [refusal for refusal in reply.json()["results"] if refusal["key_id"] == key.id]

    def reconcile(self) -> str:
        """What `manage.py reconcile` says; raises if the books do not balance."""
        command = [sys.executable, "manage.py", "reconcile"]
        return subprocess.check_output(command, env=self.env, cwd=settings.BASE_DIR, text=True)

    def endow(self) -> None:
        """Play money, and a plan that does not slow an agent down."""
        self._post("/api/billing/topup", amount="900")
        self._post("/api/subscription", plan="ultimate")
        self._post("/api/addons", add_on="rate-limit-10x")

    def _post(self, path: str, **body: Any) -> Any:
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        return self.api.post(path, json=body, headers=headers).raise_for_status().json()


@contextmanager
def running(folder: Path) -> Iterator[Product]:
    """Started, and everything of it stopped again. Its log is in the folder."""
    port = free_port()
    env = {
        **os.environ,
        **dict.fromkeys(_UNSET, ""),
        **{"DATA_DIR": str(folder), "PORT": str(port), "STRIPE_SIMULATOR_PORT": "0"},
    }
    command = [sys.executable, "-m", "hontoni.supervisor"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=env, cwd=settings.BASE_DIR, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, folder / "log")
        with httpx.Client(base_url=url, timeout=60) as api:
            someone = {"email": "agent@example.com", "password": "correct horse battery"}
            reply = api.post("/api/auth/register", json=someone).raise_for_status()
            api.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
            product = Product(url, env, api)
            product.endow()
            yield product
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"not ready within {START_SECONDS} seconds:\n{log.read_text()}")


def directive(name: str, **args: Any) -> str:
    """The sandbox's word for calling a tool (sandbox/vendors/script.py)."""
    return f"[[tool: {json.dumps({'name': name, 'args': args})}]]"
