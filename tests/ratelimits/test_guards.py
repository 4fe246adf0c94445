"""A guard counts all that a request could cost, also where less of it was held."""

import pytest

from ratelimits.guards import Guard
from ratelimits.limiter import Ask, Limits, admit, settle
from tests.ratelimits import world
from tests.ratelimits.world import EVENT, ask


def of_session(**changes: int) -> Ask:
    """It could cost 80, and needs 30 to begin."""
    guard = Guard("p1", budget=100, session="one")
    return ask(limits=Limits(), guard=guard, **{"full": 80, "floor": 30} | changes)


async def test_what_less_is_held_for_than_it_could_cost_counts_in_full() -> None:
    world.seed(credits=40)  # so its hold is the floor
    first = of_session()
    assert (await admit(first)).hold == 30
    refused = await admit(of_session(credits=1_000, credits_version=2))
    assert refused.binding == "session_on_hold", "the first could cost 80 of the 100"
    await settle(first, cost=60, event=EVENT)
    assert (await admit(of_session(credits=1_000, credits_version=2))).status == "ok"


@pytest.mark.parametrize(("left", "binding"), [(30, ""), (29, "session_budget")])
async def test_the_last_request_begins_if_the_rest_covers_its_beginning(
    left: int, binding: str
) -> None:
    world.seed(credits=1_000)
    first = of_session(full=100 - left, floor=100 - left)
    await admit(first)
    await settle(first, cost=100 - left, event=EVENT)
    assert (await admit(of_session())).binding == binding
    assert (await admit(of_session())).binding in (binding, "session_on_hold"), "one at a time"
