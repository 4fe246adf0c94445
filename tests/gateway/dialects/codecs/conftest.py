from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def row(request: pytest.FixtureRequest) -> Iterator[str]:
    """The case of the protocol map a test holds (`world.row`); it is only there for the id."""
    yield getattr(request, "param", "")
