"""Three accounts with the vendors: `first`, `second` and `third`, each a server with a key of its
own. A test says with `world.credential` which of them the product has."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gateway.vendors.own_keys.models import OwnKey
    from tests.gateway_server import Gateway
    from tests.vendors import Vendors
    from tests.world import Person

    Servers = dict[str, Vendors]


@pytest.fixture(scope="session")
def _servers() -> "Iterator[Servers]":
    from tests.vendors import serving

    with serving("sk-first") as one, serving("sk-second") as two, serving("sk-third") as three:
        yield {"first": one, "second": two, "third": three}


@pytest.fixture
def accounts(_servers: "Servers", gateway: "Gateway") -> "Servers":
    for server in _servers.values():
        server.sandbox.reset()
    return _servers


@pytest.fixture
def first(accounts: "Servers") -> "Vendors":
    return accounts["first"]


@pytest.fixture
def second(accounts: "Servers") -> "Vendors":
    return accounts["second"]


@pytest.fixture
def third(accounts: "Servers") -> "Vendors":
    return accounts["third"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The breakers' time stands still, until so many seconds are let pass."""
    from gateway.vendors import breaker

    now = SimpleNamespace(seconds=1000.0)

    def passes(seconds: float) -> None:
        now.seconds += seconds

    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return passes


@pytest.fixture
def offered(gateway: "Gateway", first: "Vendors", monkeypatch: pytest.MonkeyPatch) -> "Vendors":
    """Bring a key of `first` for OpenAI's models, at ten cents per million tokens."""
    from tests.gateway.vendors import own_keys

    monkeypatch.setattr(first.sandbox, "keys", {own_keys.SECRET, own_keys.BOBS})
    own_keys.offer(first)
    own_keys.charge()
    return first


@pytest.fixture
def hers(offered: "Vendors", alice: "Person") -> "OwnKey":
    from gateway.vendors.own_keys import keeping
    from tests.gateway.vendors import own_keys

    return keeping.add(alice.user, "openai", own_keys.SECRET)
