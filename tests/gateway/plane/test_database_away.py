"""The database says nothing: whom a node knows is served, whom it does not know is told at once.

A real Postgres is stopped in its tracks, as a disk that hangs stops it: its connections stay open
and nothing comes. SQLite has no process to stop; there every connection is refused.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import kill

import httpx
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.keys import api_keys
from bench import cost
from gateway.catalogue import snapshot
from gateway.catalogue.models import Price
from gateway.plane import callers
from hontoni import announced, freshness
from hontoni.money import nanos
from ratelimits import limiter
from tests.environment import HOME
from tests.gateway.catalogue.test_price_moments import OLD, USED, dearer, idle
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

SOON = 20.0  # seconds: a database that hangs would keep them until the client gives up


@contextmanager
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody in this process reaches the database."""
    if connection.vendor == "postgresql":
        postmaster = int((HOME / "postgres" / "postmaster.pid").read_text().split()[0])
        family = cost.family(postmaster)
        for pid in family:
            kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in family:
                kill(pid, signal.SIGCONT)
            for (
                thread
            ) in threading.enumerate():  # what hung now ends, and gives its connection back
                if thread.name in ("reading", "absence"):
                    thread.join(10)
        return

    def refused(_: BaseDatabaseWrapper) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(BaseDatabaseWrapper, "ensure_connection", refused)
        yield


def aged(person: Person, seconds: float) -> None:
    """What the node knows of this key, and of prices, was read so long ago."""
    known = callers._callers[api_keys.digest(person.raw)]
    callers._callers[known.digest] = replace(known, loaded_at=known.loaded_at - seconds)
    idle(seconds)


@pytest.fixture
def warm(gateway: Gateway, alice: Person, bob: Person) -> Gateway:
    """Alice has asked before; bob has not."""
    fund(alice, "10")
    fund(bob, "10")
    back(gateway, alice)  # the database may have been away until just now
    return gateway


def told_to_come_again(gateway: Gateway, person: Person) -> float:
    """How long it took to say so."""
    began = time.monotonic()
    refused = gateway.chat(person, USED)
    assert refused.status_code == 503, refused.text
    assert int(refused.headers["retry-after"]) > 0
    return time.monotonic() - began


def back(gateway: Gateway, person: Person) -> None:
    """Soon after the database everybody is served."""

    def served() -> httpx.Response | None:
        answer = gateway.chat(person, USED, max_tokens=1000)
        return None if answer.status_code == 503 else answer

    answer = until(served)
    assert answer.status_code == 200, answer.text


def test_who_is_known_is_served_and_who_is_not_is_told_in_time(
    warm: Gateway, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(alice, 60)
    with away(monkeypatch):
        began = time.monotonic()
        assert warm.chat(alice, USED, max_tokens=1000).status_code == 200, "an idle node's first"
        assert time.monotonic() - began < SOON, "after the database was given up, once for each"
        assert told_to_come_again(warm, bob) < SOON
        began = time.monotonic()
        for _ in range(5):
            idle(6)
            assert warm.chat(alice, USED, max_tokens=1000).status_code == 200
        assert time.monotonic() - began < 5 * settings.DATABASE_PATIENCE_SECONDS, (
            "nobody waits for what is known to be away"
        )
        assert told_to_come_again(warm, bob) < SOON
    back(warm, bob)
    back(warm, alice)
    events = warm.books()
    assert [event.cost for event in events] == [OLD] * len(events)
    assert len(events) == 1 + 1 + 5 + 2
    assert warm.balance(alice) == nanos("10") - 8 * OLD


def test_a_key_that_is_revoked_elsewhere_is_not_served_on(
    warm: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node still reaches the database, and tells Redis."""
    with away(monkeypatch):
        assert warm.chat(alice, USED, max_tokens=1000).status_code == 200
        limiter.publish_terms(alice.user.pk, alice.user.terms_version + 100)
        assert told_to_come_again(warm, alice) < SOON
        assert told_to_come_again(warm, alice) < SOON


def test_a_price_that_changed_elsewhere_is_nobodys_any_more(
    warm: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    new: Price = dearer()
    idle(6)
    with away(monkeypatch):
        assert told_to_come_again(warm, alice) < SOON
    back(warm, alice)
    assert warm.books()[-1].price == new


def test_what_was_read_too_long_ago_is_not_gone_by(
    warm: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(alice, settings.SNAPSHOT_SECONDS + 1)
    with away(monkeypatch):
        assert told_to_come_again(warm, alice) < SOON
    back(warm, alice)


@pytest.mark.parametrize("what", ["saved", "updated", "made", "deleted"])
def test_every_change_of_the_catalogue_is_announced(gateway: Gateway, what: str) -> None:
    price = Price.objects.filter(model_id="gpt-4o").earliest("effective_at")
    before = announced.version()
    assert before and announced.version() == before
    match what:
        case "saved":
            price.model.save()
        case "updated":
            Price.objects.filter(pk=-1).update(input=1)
        case "made":
            dearer()
        case "deleted":
            Price.objects.filter(pk=-1).delete()
    assert announced.version() != before


def test_a_change_past_django_is_found_by_comparing(gateway: Gateway, alice: Person) -> None:
    """In SQL, announced by nobody."""
    fund(alice, "10")
    assert gateway.chat(alice, USED, max_tokens=1000).status_code == 200
    before = announced.version()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gateway_model SET active = %s WHERE id = 'gpt-4o'", [False])
    idle(6)
    assert gateway.chat(alice, USED).status_code == 404
    assert announced.version() == before


def test_the_watch_ends_when_the_database_is_back(
    warm: Gateway, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with away(monkeypatch):
        told_to_come_again(warm, bob)
        assert freshness.is_away()
    back(warm, bob)
    assert not freshness.is_away()
    assert snapshot._kept._taken is not None
