"""Many requests at once."""

import pytest


@pytest.fixture(autouse=True)
def _unhurried(unhurried: None) -> None:
    """Slow is not wrong here."""
