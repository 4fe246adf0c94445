import pytest
import stripe

from tests.sandbox.stripe.conftest import World


def test_a_customer_is_made_read_changed_listed_and_deleted(world: World) -> None:
    made = world.stripe.customers.create({"email": "alice@example.com", "metadata": {"user": "1"}})
    world.stripe.customers.update(made.id, {"name": "Alice", "metadata": {"plan": "basic"}})
    read = world.stripe.customers.retrieve(made.id)
    assert (read.email, read.name) == ("alice@example.com", "Alice")
    assert read.metadata.to_dict() == {"user": "1", "plan": "basic"}
    listed = world.stripe.customers.list({"email": "alice@example.com"})
    assert [customer.id for customer in listed.data] == [made.id]
    assert world.stripe.customers.delete(made.id).deleted
    assert world.stripe.customers.retrieve(made.id).deleted
    assert not world.stripe.customers.list().data


def test_an_update_tells_what_it_changed(world: World) -> None:
    made = world.stripe.customers.create({"email": "a@example.com", "name": "A"})
    world.stripe.customers.update(made.id, {"email": "b@example.com", "name": "A"})
    event = world.events("customer.updated")[0]
    assert event.data.previous_attributes.to_dict() == {"email": "a@example.com"}


def test_an_empty_string_clears_a_field_and_a_metadata_key(world: World) -> None:
    made = world.stripe.customers.create({"name": "A", "metadata": {"a": "1", "b": "2"}})
    cleared = world.stripe.customers.update(made.id, {"name": "", "metadata": {"a": ""}})
    assert cleared.name is None
    assert cleared.metadata.to_dict() == {"b": "2"}


def test_pages_go_both_ways(world: World) -> None:
    ids = [world.stripe.customers.create({"name": str(n)}).id for n in range(5)][::-1]
    first = world.stripe.customers.list({"limit": 2})
    assert [c.id for c in first.data] == ids[:2] and first.has_more
    rest = world.stripe.customers.list({"limit": 10, "starting_after": ids[1]})
    assert [c.id for c in rest.data] == ids[2:] and not rest.has_more
    back = world.stripe.customers.list({"limit": 2, "ending_before": ids[4]})
    assert [c.id for c in back.data] == ids[2:4] and back.has_more
    walked = world.stripe.customers.list({"limit": 2}).auto_paging_iter()
    assert [customer.id for customer in walked] == ids


def test_an_unknown_id_and_an_unknown_parameter_are_named(world: World) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        world.stripe.customers.retrieve("cus_nobody")
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        world.stripe.customers.create({"nickname": "A"})
    assert (unknown.value.code, unknown.value.param) == ("parameter_unknown", "nickname")
