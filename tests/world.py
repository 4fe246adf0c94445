"""The small world of the tests: alice and bob have a key each, carol's key is revoked."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient
from uuid_utils import uuid7

from accounts.keys import api_keys
from accounts.models import ApiKey, User
from accounts.sign_in import tokens
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.seed import seed
from gateway.usage.models import UsageEvent

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    """A customer, one key of theirs, and that key in clear."""

    user: User
    key: ApiKey
    raw: str

    def client(self) -> APIClient:
        """Speaks to /api in a session of this person's."""
        client = APIClient()
        token = tokens.issue(self.user).access_token
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client


def person(name: str) -> Person:
    user = User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title())
    return Person(user, *api_keys.mint(user, "laptop"))


@pytest.fixture
def alice(db: None) -> Person:
    return person("alice")


@pytest.fixture
def bob(db: None) -> Person:
    return person("bob")


@pytest.fixture
def carol(db: None) -> Person:
    carol = person("carol")
    api_keys.revoke(carol.key)
    return carol


@pytest.fixture
def api() -> APIClient:
    """Speaks to /api as nobody."""
    return APIClient()


def at_once(call: Callable[[], Any], times: int) -> list[Any]:
    """Call it from that many threads at the same moment; what each got back, or raised."""
    barrier = Barrier(times)

    def run(_: int) -> Any:
        barrier.wait()
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))


def used(person: Person, **changes: Any) -> UsageEvent:
    """A request of this person's in the books (but not in the ledger): 1,000 in, 500 out."""
    seed()
    price = changes.get("price") or Price.objects.get(model_id="claude-sonnet-4")
    row: dict[str, Any] = {
        "id": uuid.UUID(bytes=uuid7().bytes),
        "user": person.user,
        "api_key": person.key,
        "model": "claude-sonnet-4",
        "requested_model": "claude-sonnet-4",
        "price": price,
        "dialect": "anthropic_messages",
        "stream": False,
        "created_at": timezone.now(),
        **dict.fromkeys(BUCKETS, 0),
        "input": 1000,
        "output": 500,
        "cost": 10_500_000,
        "hold": 20_000_000,
        "estimated": False,
        "aborted": False,
        "status": 200,
        "upstream_status": 200,
        "duration_ms": 900,
    }
    return UsageEvent.objects.create(**row | changes)
