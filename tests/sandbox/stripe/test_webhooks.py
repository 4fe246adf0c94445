import json
import time
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import World


def customer(world: World, name: str = "A") -> str:
    id: str = world.stripe.customers.create({"name": name}).id
    return id


def flush(world: World) -> list[Any]:
    """Deliver what is due; returns what the receiver could verify."""
    world.control("webhooks/flush")
    return [
        stripe.Webhook.construct_event(got.body, got.signature, world.secret)
        for got in world.receiver.received
    ]


def outcomes(world: World) -> list[str]:
    return [entry["outcome"] for entry in world.control("webhooks", "GET")["log"]]


def test_an_event_is_signed_and_complete(hooked: World) -> None:
    id = customer(hooked)
    [event] = flush(hooked)
    assert (event.type, event.data.object.id) == ("customer.created", id)
    assert (event.api_version, event.livemode) == (stripe.api_version, False)
    assert event["request"].id.startswith("req_") and event["request"].idempotency_key
    assert hooked.stripe.events.retrieve(event.id).pending_webhooks == 0


def test_the_wrong_secret_does_not_verify_and_the_retry_does(hooked: World) -> None:
    hooked.receiver.answer = lambda count: 400 if count == 1 else 200
    hooked.control("webhooks", wrong_secret=True)
    customer(hooked)
    with pytest.raises(stripe.SignatureVerificationError):
        flush(hooked)
    hooked.receiver.received.clear()
    hooked.receiver.answer = lambda count: 200
    hooked.advance(seconds=300)
    assert [event.type for event in flush(hooked)] == ["customer.created"]


@pytest.mark.parametrize(("shift", "verifies"), [(-600, False), (600, True)])
def test_the_signed_time_can_be_old_or_in_the_future(
    hooked: World, shift: int, verifies: bool
) -> None:
    hooked.control("webhooks", timestamp=shift)
    customer(hooked)
    hooked.control("webhooks/flush")
    [got] = hooked.receiver.received
    signed = int(got.signature.split(",")[0].removeprefix("t="))
    assert abs(signed - time.time() - shift) < 60
    if verifies:  # the SDK looks at the age only: the future is the receiver's own business
        assert stripe.Webhook.construct_event(got.body, got.signature, hooked.secret)
    else:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(got.body, got.signature, hooked.secret)


def test_copies_are_the_same_event(hooked: World) -> None:
    hooked.control("webhooks", duplicate=4, times=1)
    customer(hooked)
    customer(hooked)
    events = flush(hooked)
    assert len(events) == 6 and len({event.id for event in events}) == 2


def test_an_old_event_can_be_sent_again(hooked: World) -> None:
    customer(hooked)
    [first] = flush(hooked)
    hooked.advance(days=3)
    hooked.control("webhooks/resend", event=first.id)
    first, again = flush(hooked)
    assert (again.id, again.created) == (first.id, first.created)


def test_a_dropped_event_can_still_be_listed(hooked: World) -> None:
    hooked.control("webhooks", drop=True, types=["customer.created"], times=1)
    lost, seen = customer(hooked), customer(hooked)
    assert [event.data.object.id for event in flush(hooked)] == [seen]
    assert [event.data.object.id for event in hooked.events("customer.created")] == [lost, seen]
    assert outcomes(hooked) == ["dropped", "delivered"]


def test_events_can_come_backwards(hooked: World) -> None:
    hooked.control("webhooks", hold=True, reorder=True)
    ids = [customer(hooked) for _ in range(3)]
    assert hooked.receiver.received == []
    assert [event.data.object.id for event in flush(hooked)] == ids[::-1]


def test_an_event_can_be_late(hooked: World) -> None:
    hooked.control("webhooks", delay=3600, times=1)
    late, early = customer(hooked), customer(hooked)
    assert [event.data.object.id for event in flush(hooked)] == [early]
    hooked.advance(seconds=3600)
    assert [event.data.object.id for event in flush(hooked)] == [early, late]


def test_an_event_can_be_too_large_or_claim_to_be_live(hooked: World) -> None:
    hooked.control("webhooks", oversize=300_000, times=1)
    customer(hooked)
    hooked.control("webhooks/flush")
    hooked.control("webhooks", livemode=True)
    customer(hooked)
    large, live = flush(hooked)
    assert len(hooked.receiver.received[0].body) > 300_000
    assert (large.livemode, live.livemode) == (False, True)


def test_a_failing_receiver_is_tried_again_for_three_days(hooked: World) -> None:
    hooked.receiver.answer = lambda count: 500
    customer(hooked)
    flush(hooked)
    first = hooked.simulator.now()
    while hooked.simulator.webhooks.queue:
        hooked.advance(seconds=hooked.simulator.webhooks.queue[0].due - hooked.simulator.now())
        flush(hooked)
    assert 2 * 86_400 < hooked.simulator.now() - first <= 3 * 86_400
    assert len(hooked.receiver.received) == 10
    assert hooked.events("customer.created")[0].pending_webhooks == 1


def test_an_endpoint_hears_only_what_it_asked_for(hooked: World) -> None:
    [endpoint] = hooked.stripe.webhook_endpoints.list().data
    assert "secret" not in endpoint
    changed = {"enabled_events": ["product.created"], "description": "products"}
    hooked.stripe.webhook_endpoints.update(endpoint.id, changed)
    customer(hooked)
    hooked.stripe.products.create({"name": "Credits"})
    assert [event.type for event in flush(hooked)] == ["product.created"]
    hooked.stripe.webhook_endpoints.update(endpoint.id, {"disabled": True})
    hooked.stripe.products.create({"name": "More"})
    assert len(flush(hooked)) == 1
    assert hooked.stripe.webhook_endpoints.delete(endpoint.id).deleted


def test_the_knobs_go_back_to_normal(hooked: World) -> None:
    hooked.control("webhooks", hold=True)
    customer(hooked)
    knobs = hooked.control("webhooks", "DELETE")["knobs"]
    assert knobs["hold"] is False
    assert len(flush(hooked)) == 1


def test_an_unknown_knob_is_refused(world: World) -> None:
    answer = world.http.post("/_control/webhooks", json={"explode": True})
    assert answer.status_code == 400 and "explode" in answer.text


def test_events_are_listed_by_type_and_age_and_forgotten_after_thirty_days(world: World) -> None:
    customer(world)
    world.stripe.products.create({"name": "Credits"})
    assert [e.type for e in world.stripe.events.list({"type": "product.*"}).data] == [
        "product.created"
    ]
    now = world.simulator.now()
    assert world.stripe.events.list({"created": {"gt": now + 5}}).data == []
    assert len(world.stripe.events.list({"created": {"gte": now - 60}}).data) == 2
    world.advance(days=31)
    assert world.stripe.events.list().data == []


def test_the_body_is_what_was_signed_byte_for_byte(hooked: World) -> None:
    customer(hooked, "Zoë")
    flush(hooked)
    body = hooked.receiver.received[0].body
    assert json.dumps(json.loads(body)).encode() != body  # re-encoding it would not verify
