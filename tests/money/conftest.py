"""Many requests at once, on a machine that may be busy: slow is not wrong here."""

import pytest


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    from hontoni import freshness

    monkeypatch.setattr(freshness, "PATIENCE_SECONDS", 30)
