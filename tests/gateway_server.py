"""The product under uvicorn on a real port, in front of the strict vendors of the tests."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
import uvicorn
from django.test import override_settings
from google import genai
from google.genai import types
from pytest_django.fixtures import Settings

from accounts.keys import places
from billing.books import ledger
from gateway.catalogue import snapshot
from gateway.catalogue.features.models import Feature, Kind
from gateway.metering import calibration
from gateway.plane import admission, callers, stores
from gateway.plane.batches.runner import Runner
from gateway.reconciliation.invariants import problems
from gateway.stores.spool import Spool
from gateway.usage import refusals, settlement, vendor_days
from gateway.usage.models import UsageEvent
from gateway.vendors.http_client import Client
from hontoni import edge
from hontoni.money import nanos
from ratelimits import epochs
from tests.money import law
from tests.vendors import KEY, Vendors
from tests.waiting import ENOUGH
from tests.world import Person

CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Gateway:
    """The running product, and what the tests do with it."""

    url: str
    vendors: Vendors

    def openai(self, person: Person, **options: Any) -> Any:
        return openai.OpenAI(
            api_key=person.raw, base_url=f"{self.url}/v1", max_retries=0, timeout=30, **options
        )

    def anthropic(self, person: Person, **options: Any) -> Any:
        return anthropic.Anthropic(
            api_key=person.raw, base_url=self.url, max_retries=0, timeout=30, **options
        )

    @contextmanager
    def google(self, raw: str) -> Iterator[genai.Client]:
        options = types.HttpOptions(base_url=self.url)
        with genai.Client(api_key=raw, http_options=options) as client:
            yield client

    def http(self, person: Person | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {person.raw}"} if person else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def chat(self, person: Person, text: str = "Hello", **body: Any) -> httpx.Response:
        """One chat request, bare."""
        with self.http(person) as client:
            return client.post(CHAT, json=_chat(text, body))

    @contextmanager
    def begun(self, person: Person, text: str, **body: Any) -> Iterator[Iterator[bytes]]:
        """A streamed chat request of which the first bytes have come, and the others are to; what
        it gives is all of them."""
        asked = _chat(text, {"stream": True, **body})
        with self.http(person) as client, client.stream("POST", CHAT, json=asked) as answer:
            arriving = answer.iter_bytes()
            first = next(arriving)  # on a busy machine it may be everything
            yield chain([first], arriving)

    def books(self) -> list[UsageEvent]:
        """Write all usage into the books, prove them, and return the events, oldest first."""
        while settlement.drain("tests"):
            pass
        today = datetime.now(UTC).date()
        assert [*problems(), *vendor_days.problems(today, today)] == []
        return list(UsageEvent.objects.order_by("id"))

    def balance(self, person: Person) -> int:
        """Nano-dollars, as the books have it."""
        self.books()
        return ledger.balance(person.user.pk)


class _Watching:
    """The server lives longer than a test: it looks at the stores only while one uses it."""

    allowed = False
    look = staticmethod(stores.watch)
    runs_batches = True
    take_over = Runner.look

    @classmethod
    async def watch(cls) -> None:
        if cls.allowed:
            await cls.look()

    @staticmethod
    async def run_batches(runner: Runner) -> None:
        if _Watching.allowed and _Watching.runs_batches:
            await _Watching.take_over(runner)


def _chat(text: str, body: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": "user", "content": text}
    return {"model": "gpt-4o", "messages": [message], "max_tokens": 100, **body}


def fund(person: Person, dollars: str) -> Person:
    """Put money on a person's account."""
    ledger.post(
        key=f"test:{person.user.pk}:{time.monotonic_ns()}",
        kind="adjustment",
        user_id=person.user.pk,
        amount=nanos(dollars),
        reason="for the test",
        actor="tests",
    )
    return person


@pytest.fixture(scope="session")
def _server(vendor_server: Vendors, django_db_setup: None) -> Iterator[str]:
    """Started with real vendors; afterwards the settings are again what other tests expect."""
    vendors = {f"{vendor}_API_KEY": KEY for vendor in ("OPENAI", "ANTHROPIC", "GEMINI")}
    roots = {name.replace("API_KEY", "BASE_URL"): vendor_server.url for name in vendors}
    listener = socket.create_server(("127.0.0.1", 0))
    stores.watch = _Watching.watch
    Runner.look = _Watching.run_batches  # type: ignore[assignment,method-assign]
    with override_settings(SANDBOX=False, **vendors, **roots):
        from hontoni.asgi import application

        config = uvicorn.Config(
            application,
            access_log=False,  # as the supervisor serves it
            log_level="critical",
            http=edge.Protocol,
            ws="websockets-sansio",
            ws_max_size=65_536,
            ws_per_message_deflate=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(15)
    listener.close()


@pytest.fixture
def gateway(
    request: pytest.FixtureRequest,
    _server: str,
    vendors: Vendors,
    transactional_db: None,
    settings: Settings,
    tmp_path: Path,
) -> Iterator[Gateway]:
    """The product with a seeded catalogue. When the test ends the books must balance, and agree
    with the vendors' meter (tests/money/law.py) unless a marker says why not."""
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue
    from hontoni.asgi import v1

    settings.SANDBOX, settings.SIGNUP_CREDIT = False, "0"
    settings.PUBLIC_URL = _server
    settings.SPOOL_DIR = str(tmp_path / "spool")
    before, stores._Node.spool = stores._Node.spool, Spool(stores._Node.id)
    if before is not None:  # the last test's events are not this one's
        with suppress(OSError):
            before.close()
    settings.FREEZE_AFTER_STRANGE_BILLS = 0  # a prompt that dictates its numbers has strange ones
    seed_billing()
    seed_catalogue()
    Feature.objects.create(
        dialect="openai_responses", kind=Kind.VALUE, name="tools.vector_store_ids=vs_1"
    )  # what the owner keeps at the vendor for everybody
    calibration.forget()
    snapshot.forget()
    callers.forget()
    places.forget()
    refusals.forget_noted()  # of people of the last test, whom no row here could name
    assert v1.upstream is not None
    v1.upstream.forget()
    epochs.confirm_sync()  # what a test seeds is not made in the epoch of the test before
    running = Gateway(_server, vendors)
    _Watching.allowed = True
    yield running
    _Watching.allowed = False
    settled(vendors)
    events = running.books()
    if not request.node.get_closest_marker("outside_the_law"):
        law.hold(vendors.sandbox.meter.bills, events)


def settled(vendors: Vendors, seconds: float = ENOUGH) -> None:
    """Wait until no request runs any more, neither here nor at the vendors."""
    deadline = time.monotonic() + seconds
    while admission.LIVE or not all(bill.ended for bill in vendors.sandbox.meter.bills):
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)


@contextmanager
def nobody_runs_batches() -> Iterator[None]:
    """As if every gateway was away: afterwards this one looks for what it missed."""
    from hontoni.asgi import v1

    _Watching.runs_batches = False
    try:
        yield
    finally:
        _Watching.runs_batches = True
    assert v1.batches is not None and v1.batches.loop is not None
    v1.batches.loop.call_soon_threadsafe(v1.batches.woken.set)


@pytest.fixture
def unhurried(settings: Settings) -> None:
    """Many requests at once on a machine that may be busy: a slow database is not one away."""
    settings.DATABASE_PATIENCE_SECONDS = 30


@pytest.fixture
def impatient(gateway: Gateway) -> Iterator[None]:
    """A vendor is silent for half a second, and given up."""
    from hontoni.asgi import v1

    assert v1.upstream is not None
    before = v1.upstream.client
    mine = v1.upstream.client = Client(connect_seconds=5, silence_seconds=0.5)
    yield
    v1.upstream.client = before
    for connection in list(mine._open):
        connection.loop.call_soon_threadsafe(connection.abort)
