"""The small world: alice has $10, bob has nothing. The books are proved after every test."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.contrib.auth.models import Permission
from django.db import connections
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from accounts.sign_in import tokens
from billing.books import ledger
from billing.payments import reconcile
from billing.plans.seed import seed
from hontoni.money import nanos
from tests.confirmed import confirm

T = TypeVar("T")

committed = pytest.mark.django_db(transaction=True)


def client(user: User) -> APIClient:
    """Speaks to /api in a session of this user's."""
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(user).access_token}")
    return made


@pytest.fixture(autouse=True)
def world(db: None, settings: Settings) -> Iterator[None]:
    """Plans are seeded, nobody is given money for signing up; in the end the books balance.

    Tests of what happens after a commit are marked `committed`; races commit too.
    """
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "0"
    seed()
    yield
    assert reconcile.problems() == []


@pytest.fixture
def alice() -> User:
    user = confirm(User.objects.create_user("alice@example.com", name="Alice"))
    ledger.post(key="alice", kind="sandbox", user_id=user.pk, amount=nanos("10"))
    return user


@pytest.fixture
def bob() -> User:
    return confirm(User.objects.create_user("bob@example.com", name="Bob"))


@pytest.fixture
def finance() -> User:
    """A member of staff who may adjust balances."""
    user = User.objects.create_user("finance@example.com", name="Finance", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="adjust_balance"))
    return user


@pytest.fixture
def at_once(transactional_db: None) -> Callable[[Callable[[int], T], int], list[T]]:
    """Run a function `times` times on 16 threads, each with a connection of its own."""

    def run(function: Callable[[int], T], times: int) -> list[T]:
        def once(number: int) -> T:
            try:
                return function(number)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(max_workers=16) as threads:
            return list(threads.map(once, range(times)))

    return run
