"""A price, a model and a name hold from one moment on, on every node, however idle it was."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from gateway.catalogue import clock, snapshot
from gateway.catalogue.models import BUCKETS, Alias, Model, Price
from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

USED = "[[usage: 1000 500 0]] [[say: hi]]"
OLD, TENFOLD = nanos("0.0075"), nanos("0.075")


def dearer(times: int = 10, at: datetime | None = None, model: str = "gpt-4o") -> Price:
    """Another price for a model, so many times its first one."""
    first = Price.objects.filter(model_id=model).earliest("effective_at")
    rates = {bucket: times * getattr(first, bucket) for bucket in BUCKETS}
    return Price.objects.create(model_id=model, effective_at=at or timezone.now(), **rates)


def idle(seconds: float = 60) -> None:
    """Nobody asked anything for so long: what the node knows is that much older."""
    kept = snapshot._kept
    assert kept._taken is not None
    taken = kept._taken
    kept._taken = taken._replace(since=taken.since - seconds, good=taken.good - seconds)


def receipt(person: Person, event: UsageEvent) -> dict[str, Any]:
    found: dict[str, Any] = person.client().get(f"/api/usage/{event.request_id}").json()
    return found


@pytest.fixture
def warm(gateway: Gateway, alice: Person) -> Gateway:
    """A node that has answered a request, and was then idle for a minute."""
    fund(alice, "10")
    assert gateway.chat(alice, USED, max_tokens=1000).status_code == 200
    idle()
    return gateway


# -- Idle and busy -------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [10, 0])
def test_the_first_request_after_a_pause_pays_the_price_in_force(
    warm: Gateway, alice: Person, times: int
) -> None:
    new = dearer(times)
    assert warm.chat(alice, USED, max_tokens=1000).status_code == 200
    _, event = warm.books()
    assert (event.cost, event.price) == (times * OLD, new)
    assert warm.balance(alice) == nanos("10") - OLD - times * OLD


def test_the_receipt_names_the_version_and_when_it_was_read(warm: Gateway, alice: Person) -> None:
    before = timezone.now()
    new = dearer()
    warm.chat(alice, USED, max_tokens=1000)
    told = receipt(alice, warm.books()[1])["price_version"]
    assert told["id"] == new.pk
    assert datetime.fromisoformat(told["effective_at"]) == new.effective_at
    read = datetime.fromisoformat(told["read_at"])
    assert before - timedelta(milliseconds=50) <= read <= timezone.now()


def test_what_is_switched_off_is_not_sold_once_more(warm: Gateway, alice: Person) -> None:
    Model.objects.filter(pk="gpt-4o").update(active=False)
    refused = warm.chat(alice, USED)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    assert len(warm.vendors.requests) == 1


@pytest.mark.parametrize("seconds", [60, 2])
def test_what_is_switched_on_is_not_refused(warm: Gateway, alice: Person, seconds: float) -> None:
    """Not even by a snapshot that is young enough to price by."""
    Model.objects.filter(pk="gpt-4.1").update(active=False)
    assert warm.chat(alice, model="gpt-4.1").status_code == 404
    Model.objects.filter(pk="gpt-4.1").update(active=True)
    Alias.objects.create(name="brand-new", model_id="gpt-4.1")
    idle(seconds)
    assert warm.chat(alice, model="brand-new").status_code == 200
    with warm.http(alice) as client:
        assert client.get("/v1/models/brand-new").json()["id"] == "gpt-4.1"


def test_a_busy_node_reads_beside_its_requests(
    warm: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.chat(alice)
    idle(3)
    readings, read, may_end = [], snapshot.read, Event()

    def slowly() -> snapshot.Snapshot:
        readings.append(1)
        may_end.wait(30)
        return read()

    monkeypatch.setattr(snapshot, "read", slowly)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: warm.chat(alice), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4, "while it is read"
    assert len(readings) == 1
    may_end.set()


def test_all_who_wait_share_one_reading(
    warm: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings, read = [], snapshot.read

    def counted() -> snapshot.Snapshot:
        readings.append(1)
        return read()

    monkeypatch.setattr(snapshot, "read", counted)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: warm.chat(alice), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(readings) == 1


# -- Without the database ------------------------------------------------------------------------


def _refuses() -> None:
    raise OperationalError("connection refused")


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_without_the_database_nothing_is_sold_at_an_old_price(
    warm: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    dearer()
    answered = Event()
    with monkeypatch.context() as away:
        away.setattr(snapshot, "read", (lambda: answered.wait(60)) if silent else _refuses)
        refused = warm.chat(alice, USED)
        answered.set()
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    assert refused.headers["x-ratelimit-limit-rpm"], "limits are Redis's, and still told"
    until(lambda: warm.chat(alice, USED, max_tokens=1000).status_code == 200, "it is not back")
    assert len(warm.vendors.requests) == 2


def test_a_key_that_cannot_be_looked_up_is_told_so(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.plane import callers

    fund(alice, "10")
    answered = Event()
    with monkeypatch.context() as away:
        away.setattr(callers, "_load", lambda _: answered.wait(60))
        refused = gateway.chat(alice)
        answered.set()
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
    until(lambda: gateway.chat(alice).status_code == 200)


# -- The switch ----------------------------------------------------------------------------------


def test_a_coming_price_binds_at_its_instant(gateway: Gateway, alice: Person) -> None:
    """Every request is at the price of the moment it was admitted at, before and after."""
    fund(alice, "100")
    limit(alice, rpm=1000, five_hours=1000, daily=1000, weekly=1000, monthly=1000, concurrent=10)
    switch = timezone.now() + timedelta(seconds=1)
    new = dearer(at=switch)
    with ThreadPoolExecutor(3) as threads:
        while timezone.now() < switch + timedelta(seconds=0.5):
            answers = threads.map(lambda _: gateway.chat(alice, USED, max_tokens=1000), range(3))
            assert {answer.status_code for answer in answers} == {200}
    paid: dict[bool, set[int]] = {True: set(), False: set()}
    for event in gateway.books():
        admitted = datetime.fromtimestamp(event.details["admitted_at"] / 1e6, switch.tzinfo)
        assert (event.price_id == new.pk) == (admitted >= switch)
        paid[admitted >= switch].add(event.cost)
    assert paid == {False: {OLD}, True: {TENFOLD}}


@pytest.mark.parametrize("seconds", [-3, 3])
def test_a_node_whose_clock_is_wrong_goes_by_redis_clock(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """By its own clock the new price is in force three seconds early or late."""
    fund(alice, "10")
    dearer(at=timezone.now() + timedelta(seconds=1 if seconds > 0 else -1))
    monkeypatch.setattr(clock._Offset, "ahead", seconds * 1_000_000)
    monkeypatch.setattr(clock._Offset, "heard_at", time.monotonic())
    monkeypatch.setattr(clock, "heard", lambda _: None)
    assert gateway.chat(alice, USED, max_tokens=1000).status_code == 200
    assert [event.cost for event in gateway.books()] == [OLD if seconds > 0 else TENFOLD]


def test_who_waited_for_a_slot_pays_the_price_of_when_it_began(
    gateway: Gateway, alice: Person
) -> None:
    """Not of when it was understood; and what it holds is reckoned anew."""
    fund(alice, "10")
    limit(alice, concurrent=1, rpm=50)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(gateway.chat, alice, f"[[delay: 3]] {USED}", max_tokens=1000)
        while not gateway.vendors.requests:
            time.sleep(0.01)
        new = dearer(at=timezone.now() + timedelta(seconds=1))
        idle()
        second = threads.submit(gateway.chat, alice, USED, max_tokens=1000)
        assert (first.result().status_code, second.result().status_code) == (200, 200)
    before, after = gateway.books()
    assert (before.cost, after.cost, after.price) == (OLD, TENFOLD, new)
    assert after.hold == 10 * before.hold - 10 * _prompt(before) + 10 * _prompt(after)


def _prompt(event: UsageEvent) -> int:
    """What of a hold was for the prompt: the rest is 1,000 tokens of output."""
    first = Price.objects.filter(model_id="gpt-4o").earliest("effective_at")
    times = event.price.output // first.output
    return (event.hold - times * first.output // 1000) // times


def test_what_is_switched_off_while_it_waits_is_not_served(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    limit(alice, concurrent=1, rpm=50)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(gateway.chat, alice, "[[delay: 3]] [[say: hi]]")
        while not gateway.vendors.requests:
            time.sleep(0.01)
        second = threads.submit(gateway.chat, alice)
        time.sleep(0.2)
        Model.objects.filter(pk="gpt-4o").update(active=False)
        idle()
        assert (first.result().status_code, second.result().status_code) == (200, 404)
    assert len(gateway.books()) == 1


def test_two_nodes_that_read_at_different_times_switch_at_the_same_one(alice: Person) -> None:
    from gateway.catalogue.seed import seed

    seed()
    switch = timezone.now() + timedelta(seconds=10)
    new = dearer(at=switch)
    nodes = [snapshot.read()]
    snapshot._Last.made = None
    nodes.append(snapshot.read())
    assert nodes[0] is not nodes[1]
    for node in nodes:
        at = [node.at(clock.of(switch) + micros).models["gpt-4o"] for micros in (-1, 0)]
        assert [model.price.id == new.pk for model in at] == [False, True]
        assert at[0].coming == (at[1].price,)
        assert node.at(clock.of(switch) - 1).until == clock.of(switch)


def test_reading_is_cheap(alice: Person, django_assert_max_num_queries: Any) -> None:
    from gateway.catalogue.seed import seed

    seed()
    for day in range(50):
        dearer(at=timezone.now() - timedelta(days=day + 1))
    with django_assert_max_num_queries(26):
        first = snapshot.read()
    with django_assert_max_num_queries(13):
        assert snapshot.read() is first, "what did not change is not made anew"


# -- A refusal by what is not known yet ----------------------------------------------------------


def test_a_limit_whose_announcement_was_lost_refuses_nobody_for_long(
    gateway: Gateway, alice: Person
) -> None:
    from billing.plans.models import Plan
    from gateway.plane import callers

    fund(alice, "10")
    limit(alice, rpm=1)
    assert [gateway.chat(alice).status_code for _ in range(2)] == [200, 429]
    Plan.objects.filter(is_default=True).update(rpm=5)  # and Redis is not told
    ((digest, known),) = callers._callers.items()
    from dataclasses import replace

    callers._callers[digest] = replace(known, loaded_at=known.loaded_at - 6)
    assert gateway.chat(alice).status_code == 200
