"""A second account with OpenAI, beside the one in the environment."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway_server import Gateway
    from tests.vendors import Vendors


@pytest.fixture(scope="session")
def _second() -> "Iterator[Vendors]":
    from tests.vendors import serving

    with serving("sk-second") as running:
        yield running


@pytest.fixture
def second(_second: "Vendors", gateway: "Gateway") -> "Vendors":
    _second.sandbox.reset()
    return _second
