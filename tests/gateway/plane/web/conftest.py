"""The product with a search provider."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def web(gateway: Any) -> Iterator[Any]:
    from gateway.catalogue import snapshot
    from gateway.vendors.web import searching
    from tests.gateway.plane.web.world import provider

    provider(gateway)
    yield gateway
    searching.forget()
    snapshot.forget()
