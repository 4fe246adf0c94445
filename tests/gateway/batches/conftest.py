"""These tests make many clients: each is closed when its test ends."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _clients_end_with_their_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from tests.gateway_server import Gateway

    with ExitStack() as stack:
        for name in ("openai", "anthropic"):
            make = getattr(Gateway, name)

            def closing(*args: Any, make: Any = make, **options: Any) -> Any:
                return stack.enter_context(make(*args, **options))

            monkeypatch.setattr(Gateway, name, closing)
        yield
