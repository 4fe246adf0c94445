"""The people of tests/world.py, with their keys."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import Person


def _person(name: str) -> "Person":
    from tests.world import person  # it has models, and Django is set up by now

    return person(name)


@pytest.fixture
def alice(db: None) -> "Person":
    return _person("alice")


@pytest.fixture
def bob(db: None) -> "Person":
    return _person("bob")


@pytest.fixture
def carol(db: None) -> "Person":
    return _person("carol")
