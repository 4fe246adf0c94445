"""Valkey's clock jumps: what it has noted lies further back by then, or ahead."""

import pytest

from gateway.stores import reaping
from tests.faults.test_lost_stores import used
from tests.gateway.plane.test_faults import at_rest
from tests.gateway_server import Gateway, fund
from tests.ratelimits.world import advance
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database
TWO_HOURS, HOUR = 7_200, 3_600
SLOWLY = "[[slow: 0.02]] [[say: " + "one two three " * 30 + "]]"


def test_a_clock_that_jumps_makes_no_false_limits(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    for jump in (0, TWO_HOURS, -HOUR):
        advance(jump)
        assert gateway.chat(alice).status_code == 200
    minute, *windows = used(gateway, alice)
    assert minute in (1, 2) and windows == [3, 3, 3, 3]
    until(lambda: at_rest(alice), "something is still held")
    assert len(gateway.books()) == 3


LOST = pytest.mark.outside_the_law("by Valkey's clock its process has been dead for two hours")


@pytest.mark.parametrize("jump", [pytest.param(TWO_HOURS, marks=LOST), -HOUR])
def test_a_request_that_a_jump_takes_for_dead_has_one_receipt(
    gateway: Gateway, alice: Person, jump: int
) -> None:
    """And is charged what its last heartbeat said: before the first one, nothing."""
    fund(alice, "10")
    with gateway.begun(alice, SLOWLY) as arriving:
        advance(jump)
        reaping.reap()
        assert b"data: [DONE]" in b"".join(arriving)
    until(lambda: at_rest(alice), "something is still held")
    (event,) = gateway.books()
    assert (event.error, event.cost) == ("process_lost", 0) if jump > 0 else event.cost > 0
