"""What was asked goes with its answer: nothing that outlives a request keeps its body."""

import gc

import pytest

from gateway.plane.exchange import Exchange
from tests.gateway_server import CHAT, Gateway, fund
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database


def is_kept(request_id: str) -> bool:
    gc.collect()
    # By its type: `isinstance` wakes whatever is lazy, which other tests have left asleep.
    kept = (each for each in gc.get_objects() if issubclass(type(each), Exchange))
    return request_id in [each.request_id for each in kept]


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_and_its_timers_keep_nothing_of_who_opened_them(
    gateway: Gateway, alice: Person, stream: bool
) -> None:
    fund(alice, "10")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * 9_000}]}
    with gateway.http(alice) as client:
        reply = client.post(CHAT, json=body | {"stream": stream})
    assert reply.status_code == 200
    until(lambda: not is_kept(reply.headers["x-request-id"]))
