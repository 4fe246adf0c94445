"""What an operator sets is read, or refused by its name."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from hontoni.environment import Environment


def test_what_is_no_number_is_refused_by_name_and_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(ImproperlyConfigured, match=r"PORT cannot be read") as told:
        Environment().int("PORT")
    assert "eighty" not in str(told.value)
    monkeypatch.setenv("PORT", "80")
    assert Environment().int("PORT") == 80
