"""What broke agents at other gateways, and here: each case through the public door."""

import orjson
import pytest

from tests.gateway.dialects import replay
from tests.gateway.dialects.replay import Case
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.outside_the_law("a vendor that says what is written")


@pytest.mark.parametrize("case", replay.cases(), ids=lambda case: case.name)
def test_a_case(gateway: Gateway, alice: Person, case: Case) -> None:
    fund(alice, "100")
    gateway.vendors.faults.extend(replay.answers(case))
    with gateway.http(alice) as http:
        reply = replay.send(http, case)
    expect = case.expect
    assert reply.status_code == expect.get("status", 200), reply.text
    sent = gateway.vendors.requests
    for record in sent[-1:] if reply.status_code == 200 else ():
        assert replay.objection(record) == ""
    assert len(sent) == len(expect["sent"])
    for at, (wanted, record) in enumerate(zip(expect["sent"], sent, strict=True)):
        replay.holds(wanted, record.raw.decode(), record.body, f"sent[{at}]")
    body = None if "event-stream" in reply.headers["content-type"] else orjson.loads(reply.content)
    replay.holds(expect.get("reply", {}), reply.text, body, "reply")
    told = reply.headers.get("x-hontoni-left-out", "")
    assert [name for name in expect.get("left_out", []) if name not in told] == []
    if expect.get("left_out"):
        (event,) = gateway.books()
        assert set(expect["left_out"]) <= set(event.details["left_out"])
