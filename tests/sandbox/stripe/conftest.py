"""A fresh account for every test, spoken to with the official SDK over real HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from sandbox.stripe import create_app
from tests.sandbox.stripe.running import Loop, Receiver, Running

KEY = "sk_test_hontoniSimulator0123456789"


class World:
    """The account's SDK client, its controls, its browser and its webhook receiver."""

    def __init__(self, server: Running) -> None:
        self.url = server.url
        self.simulator = server.app.state.simulator
        self.sdk = stripe.RequestsClient(timeout=30)
        self.stripe: Any = client(server.url, http_client=self.sdk).v1
        self.receiver = Receiver()
        self.secret = ""
        self.http = httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        )
        self.browser = httpx.Client(base_url=server.url, timeout=30)

    def control(self, knob: str, method: str = "POST", /, **fields: Any) -> Any:
        answer = self.http.request(method, f"/_control/{knob}", json=fields)
        answer.raise_for_status()
        return answer.json()

    def advance(self, *, days: int = 0, seconds: int = 0) -> int:
        now: int = self.control("advance", seconds=days * 86_400 + seconds)["now"]
        return now

    def events(self, *types: str) -> list[Any]:
        """The account's events of these types, oldest first."""
        found = self.stripe.events.list({"limit": 100, **({"types": types} if types else {})})
        return list(reversed(list(found.auto_paging_iter())))

    def event_types(self) -> list[str]:
        return [event.type for event in self.events()]

    def close(self) -> None:
        self.sdk.close()  # type: ignore[no-untyped-call]
        self.http.close()
        self.browser.close()


def client(
    url: str, key: str = KEY, retries: int = 0, http_client: stripe.HTTPClient | None = None
) -> stripe.StripeClient:
    return stripe.StripeClient(
        key, base_addresses={"api": url}, max_network_retries=retries, http_client=http_client
    )


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture
def world(loop: Loop) -> Iterator[World]:
    with Running(create_app(), loop) as server:
        world = World(server)
        yield world
        world.close()


@pytest.fixture
def hooked(world: World, loop: Loop) -> Iterator[World]:
    """The world with its receiver registered for all events."""
    with Running(world.receiver.app(), loop) as server:
        endpoint = world.stripe.webhook_endpoints.create(
            {"url": f"{server.url}/hook", "enabled_events": ["*"]}
        )
        world.secret = endpoint.secret
        yield world
