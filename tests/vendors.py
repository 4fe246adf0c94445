"""The vendors of the tests: one strict sandbox for the whole session, forgetful between tests.

A test asks for `vendors`: where it is, what it received, and what shall go wrong next.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn

from sandbox.vendors.app import Sandbox, make_app
from sandbox.vendors.faults import Fault
from sandbox.vendors.recorder import Record
from tests.waiting import ENOUGH

KEY = "sk-vendor-key-of-the-tests"


@dataclass(frozen=True, slots=True)
class Vendors:
    """The running sandbox. `url` has no `/v1`; `key` is the only key it accepts."""

    url: str
    sandbox: Sandbox
    key: str = KEY

    @property
    def requests(self) -> list[Record]:
        """What was received since the test began."""
        return self.sandbox.requests

    @property
    def last(self) -> Record:
        return self.sandbox.requests[-1]

    @property
    def faults(self) -> deque[Fault]:
        """What goes wrong with the next answers, in order."""
        return self.sandbox.faults

    def ended(self, record: Record, timeout: float = ENOUGH) -> Record:
        """The record, once its answer has been sent or given up."""
        deadline = time.monotonic() + timeout
        while record.finished_at is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert record.finished_at is not None, "the sandbox is still answering"
        return record


@contextmanager
def serving(key: str, port: int = 0) -> Iterator[Vendors]:
    """A sandbox under uvicorn, in a thread, on a free port or this one; it takes this key only."""
    app = make_app(strict=True, keys={key}, pace=0.0)
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", ws="none", access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Vendors(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.sandbox, key)
    server.should_exit = server.force_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="session")
def vendor_server() -> Iterator[Vendors]:
    with serving(KEY) as running:
        yield running


@pytest.fixture
def vendors(vendor_server: Vendors) -> Iterator[Vendors]:
    """The sandbox, remembering nothing of earlier tests."""
    vendor_server.sandbox.reset()
    yield vendor_server
    vendor_server.sandbox.reset()
