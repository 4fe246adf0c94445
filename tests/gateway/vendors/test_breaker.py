"""Closed, open, half-open: who may be asked when."""

from collections.abc import Callable

import pytest

from gateway.vendors.breaker import FAILURES, LONGEST_SECONDS, SHORTEST_SECONDS, Breaker

Clock = Callable[[float], None]


@pytest.fixture
def broken(clock: Clock) -> Breaker:
    """One that has just opened."""
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.allows() and not breaker.begin()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_only(clock: Clock) -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.allows() and breaker.wait() == 0
    for _ in range(FAILURES):
        breaker.failed()
    assert not breaker.allows() and breaker.wait() == SHORTEST_SECONDS


def test_after_its_pause_it_lets_one_request_through(broken: Breaker, clock: Clock) -> None:
    clock(SHORTEST_SECONDS - 0.1)
    assert not broken.allows()
    clock(0.2)
    assert broken.allows() and broken.begin()
    assert not broken.allows()
    broken.succeeded()
    assert broken.allows() and not broken.begin() and broken.allows()


def test_its_pause_doubles_up_to_a_minute(broken: Breaker, clock: Clock) -> None:
    pauses = []
    for _ in range(6):
        pauses.append(broken.wait())
        clock(broken.wait())
        assert broken.begin()
        broken.failed()
    assert pauses == [5, 10, 20, 40, 60, LONGEST_SECONDS]


def test_a_failure_sent_before_it_opened_does_not_open_it_longer(
    broken: Breaker, clock: Clock
) -> None:
    for _ in range(9):
        broken.failed(retry_after=50)
    assert broken.wait() == SHORTEST_SECONDS


def test_what_is_asked_again_while_it_is_open_does_not_keep_it_open(
    broken: Breaker, clock: Clock
) -> None:
    """A connection found closed is dialled anew, whatever the first failure did."""
    clock(SHORTEST_SECONDS)
    for _ in range(2):
        broken.begin()
        broken.failed()
    clock(2 * SHORTEST_SECONDS)
    assert broken.allows()
    for happens in (broken.succeeded, broken.abandoned):
        broken.begin()
        happens()
        assert broken.allows()


def test_a_probe_given_up_leaves_the_next_request_to_probe(broken: Breaker, clock: Clock) -> None:
    clock(SHORTEST_SECONDS)
    assert broken.begin()
    broken.abandoned()
    assert broken.allows() and broken.begin()


def test_it_waits_as_long_as_the_vendor_says_but_not_for_ever(clock: Clock) -> None:
    for told, waited in ((30, 30), (3600, LONGEST_SECONDS), (1, SHORTEST_SECONDS)):
        breaker = Breaker()
        for _ in range(FAILURES):
            breaker.failed(retry_after=told)
        assert breaker.wait() == waited


def test_a_refused_credential_opens_it_at_once(clock: Clock) -> None:
    breaker = Breaker()
    breaker.failed(refused=True)
    assert not breaker.allows() and breaker.refused
    clock(breaker.wait())
    breaker.begin()
    breaker.succeeded()
    assert breaker.allows() and not breaker.refused
