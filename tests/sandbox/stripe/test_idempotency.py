from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe.conftest import World, client


def make(world: World, key: str, **fields: Any) -> Any:
    return world.stripe.customers.create(fields, {"idempotency_key": key})


def test_the_same_key_makes_one_customer(world: World) -> None:
    first, second = make(world, "k", name="A"), make(world, "k", name="A")
    assert first.id == second.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    original = second.last_response.headers["Original-Request"]
    assert original == first.last_response.headers["Request-Id"]
    assert len(world.stripe.customers.list().data) == 1


def test_fifty_threads_with_one_key_make_one_customer(world: World) -> None:
    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(lambda _: make(world, "k", name="A").id, range(50)))
    assert len(set(made)) == 1
    assert len(world.stripe.customers.list().data) == 1
    assert world.event_types() == ["customer.created"]


def test_a_key_in_use_is_a_conflict_and_the_sdk_tries_again(world: World) -> None:
    world.control("faults", kind="hold", path="/v1/customers")
    patient = client(world.url, retries=9).v1.customers
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(make, world, "k", name="A")
        while not world.simulator.keys.saved:
            assert not first.done()
        conflict = pool.submit(make, world, "k", name="A").exception()
        retried = pool.submit(patient.create, {"name": "A"}, {"idempotency_key": "k"})
        world.control("faults", "DELETE")
        assert retried.result().id == first.result().id
    assert isinstance(conflict, stripe.StripeError) and isinstance(conflict.json_body, dict)
    assert conflict.http_status == 409
    assert conflict.json_body["error"]["code"] == "idempotency_key_in_use"


def test_other_parameters_or_another_path_are_an_error(world: World) -> None:
    make(world, "k", name="A")
    with pytest.raises(stripe.IdempotencyError) as other:
        make(world, "k", name="B")
    assert other.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        world.stripe.products.create({"name": "A"}, {"idempotency_key": "k"})
    assert len(world.stripe.customers.list().data) == 1


def test_a_refusal_by_the_card_is_kept_and_a_malformed_call_is_not(world: World) -> None:
    charge = {"amount": 500, "currency": "usd", "confirm": True, "return_url": "https://a.example"}
    declined = charge | {"payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            world.stripe.payment_intents.create(declined, {"idempotency_key": "card"})
    assert len(world.stripe.charges.list().data) == 1
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.payment_intents.create({"currency": "usd"}, {"idempotency_key": "bad"})
    fixed = charge | {"payment_method": "pm_card_visa"}
    paid = world.stripe.payment_intents.create(fixed, {"idempotency_key": "bad"})
    assert paid.status == "succeeded"


def test_a_500_is_remembered_too(world: World) -> None:
    world.control("faults", kind="error", path="/v1/customers")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            make(world, "k", name="A")
        assert failed.value.http_status == 500
    assert world.stripe.customers.list().data == []
    assert make(world, "another", name="A").name == "A"


def test_a_429_is_not_remembered(world: World) -> None:
    world.control("faults", kind="rate_limit", path="/v1/customers")
    with pytest.raises(stripe.RateLimitError):
        make(world, "k", name="A")
    assert make(world, "k", name="A").name == "A"


def test_a_lost_answer_is_found_again_with_the_same_key(world: World) -> None:
    charge = {"amount": 500, "currency": "usd", "confirm": True, "return_url": "https://a.example"}
    charge |= {"payment_method": "pm_card_visa"}
    world.control("faults", kind="lost", path="/v1/payment_intents")
    with pytest.raises(stripe.APIConnectionError):
        world.stripe.payment_intents.create(charge, {"idempotency_key": "k"})
    found = world.stripe.payment_intents.create(charge, {"idempotency_key": "k"})
    assert found.status == "succeeded"
    assert len(world.stripe.charges.list().data) == 1


def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    first = make(world, "k", name="A").id
    world.advance(seconds=86_000)
    assert make(world, "k", name="A").id == first
    world.advance(seconds=500)
    assert make(world, "k", name="A").id != first


def test_a_key_is_at_most_255_characters(world: World) -> None:
    with pytest.raises(stripe.IdempotencyError):
        make(world, "k" * 256, name="A")
