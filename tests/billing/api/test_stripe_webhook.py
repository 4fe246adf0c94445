"""POST /webhooks/stripe, as Stripe and as somebody else calls it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from unittest import mock

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.payments import inbox, settlements
from billing.payments.models import TopUp
from billing.stripe.models import StripeEvent
from hontoni import errors
from hontoni.celery import app as celery
from hontoni.money import nanos
from sandbox.stripe.webhooks import sign
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed


def paid(shop: Shop, user: User) -> dict[str, Any]:
    """The event of a payment that nobody has told us about yet."""
    shop.knobs(drop=True)
    shop.pay(shop.order(user))
    [event] = shop.stripe.events("checkout.session.completed")
    found: dict[str, Any] = event.to_dict()
    return found


def post(
    shop: Shop, event: Any, *, secret: str | None = None, age: int = 0, header: str | None = None
) -> httpx.Response:
    from django.conf import settings

    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    used = settings.STRIPE_WEBHOOK_SECRET if secret is None else secret
    signature = sign(body, used, int(time.time()) - age) if header is None else header
    return httpx.post(
        f"{shop.url}/webhooks/stripe",
        content=body,
        headers={"Stripe-Signature": signature},
        timeout=60,  # fifty at once on a busy machine: how long that takes decides nothing
    )


def test_fifty_copies_at_once_credit_once(shop: Shop, bob: User) -> None:
    event = paid(shop, bob)
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: post(shop, event), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert StripeEvent.objects.count() == 1
    assert balance(bob) == nanos("25")


def test_fifty_workers_at_once_credit_once(shop: Shop, bob: User, at_once: Any) -> None:
    celery.conf.task_always_eager = False
    event = paid(shop, bob)
    post(shop, event)
    at_once(lambda _: inbox.handle(event["id"]), 50)
    assert balance(bob) == nanos("25")
    assert Transfer.objects.filter(kind="topup").count() == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_handler_that_dies_half_way_credits_once_after_its_retry(
    shop: Shop, bob: User, moment: str
) -> None:
    event = paid(shop, bob)
    real = ledger.post

    def die(**transfer: Any) -> Any:
        if moment == "after":
            real(**transfer)
        raise KeyboardInterrupt  # nobody catches it: the worker is gone

    celery.conf.task_always_eager = False
    post(shop, event)
    with mock.patch.object(ledger, "post", die), pytest.raises(KeyboardInterrupt):
        inbox.handle(event["id"])
    assert (balance(bob), TopUp.objects.get().state) == (0, "open")
    assert inbox.retry(now=timezone.now() + timedelta(minutes=2)) == 1
    assert (balance(bob), TopUp.objects.get().state) == (nanos("25"), "paid")


def test_what_dies_after_the_money_moved_changes_nothing_again(shop: Shop, bob: User) -> None:
    event = paid(shop, bob)
    settlements.settle_session(event["data"]["object"]["id"])  # and then the event is not marked
    celery.conf.task_always_eager = False
    post(shop, event)
    assert inbox.retry(now=timezone.now() + timedelta(minutes=2)) == 1
    assert balance(bob) == nanos("25")


def test_while_stripe_is_down_events_wait(shop: Shop, bob: User) -> None:
    event = paid(shop, bob)
    for _ in range(2):
        shop.stripe.control(
            "faults", kind="error", method="GET", path="/v1/checkout/sessions", times=2
        )
    assert post(shop, event).status_code == 200
    kept = StripeEvent.objects.get()
    assert kept.handled_at is None and kept.attempts == 1 and "Unanswered" in kept.error
    assert inbox.retry(now=timezone.now()) == 0  # not yet
    later = timezone.now() + timedelta(hours=2)
    while StripeEvent.objects.filter(handled_at=None).exists():
        inbox.retry(now=later)
    assert balance(bob) == nanos("25")


def test_a_broker_that_is_down_costs_no_event(shop: Shop, bob: User) -> None:
    from kombu.exceptions import OperationalError

    from billing.payments import tasks

    event = paid(shop, bob)
    with mock.patch.object(tasks.handle_event, "delay", side_effect=OperationalError):
        assert post(shop, event).status_code == 200
    assert balance(bob) == 0
    inbox.retry(now=timezone.now() + timedelta(minutes=2))
    assert balance(bob) == nanos("25")


def test_events_of_every_order_credit_once(shop: Shop, bob: User) -> None:
    shop.knobs(reorder=True, duplicate=1)
    order = shop.order(bob)
    shop.pay(order)
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_an_event_may_come_days_late(shop: Shop, bob: User) -> None:
    shop.knobs(delay=2 * 86_400)
    shop.pay(shop.order(bob))
    shop.deliver()
    assert balance(bob) == 0
    shop.stripe.advance(days=3)
    shop.deliver()
    assert balance(bob) == nanos("25")


@pytest.fixture
def nothing(shop: Shop, bob: User) -> Iterator[None]:
    """Whatever happens: nothing is stored and nobody is credited."""
    yield
    assert not StripeEvent.objects.exists()
    assert balance(bob) == 0


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"secret": "whsec_of_somebody_else"}, 400),
        ({"secret": ""}, 400),
        ({"age": 360}, 400),
        ({"age": -360}, 400),
        ({"header": ""}, 400),
        ({"header": "t=now,v1=x"}, 400),
        ({"header": "v1=x"}, 400),
    ],
    ids=["wrong", "empty", "old", "future", "unsigned", "no time", "no t"],
)
def test_a_forged_event_is_refused(
    shop: Shop, bob: User, how: dict[str, Any], status: int
) -> None:
    assert post(shop, paid(shop, bob), **how).status_code == status


@pytest.mark.usefixtures("nothing")
def test_a_live_event_on_test_keys_is_refused(shop: Shop, bob: User) -> None:
    event = paid(shop, bob) | {"livemode": True}
    answer = post(shop, event)
    assert answer.status_code == 400 and "other mode" in answer.text


@pytest.mark.usefixtures("nothing")
def test_a_test_event_on_live_keys_is_refused(shop: Shop, bob: User, settings: Settings) -> None:
    event = paid(shop, bob)
    key, settings.STRIPE_SECRET_KEY = settings.STRIPE_SECRET_KEY, "sk_live_x"
    assert post(shop, event).status_code == 400
    settings.STRIPE_SECRET_KEY = key


@pytest.mark.usefixtures("nothing")
def test_an_oversized_event_is_refused(shop: Shop, bob: User) -> None:
    event = paid(shop, bob) | {"padding": "x" * inbox.MOST_BYTES}
    assert post(shop, event).status_code == 413


@pytest.mark.usefixtures("nothing")
def test_an_endless_body_is_cut_off_unread(shop: Shop) -> None:
    """Chunked, so that nobody knows how long it is; without end, were it read."""
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1_000:
            sent += 1
            yield b"x" * 65_536

    try:
        answer = httpx.post(f"{shop.url}/webhooks/stripe", content=chunks(), timeout=30)
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # refused while we were still sending
    assert sent < 1_000


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"id": 1, "type": 2}', b"\xff", b"[" * 9999]
)
def test_what_is_no_event_is_refused(shop: Shop, body: bytes) -> None:
    assert post(shop, body).status_code == 400


@pytest.mark.usefixtures("nothing")
def test_without_a_secret_there_is_no_such_address(
    shop: Shop, bob: User, settings: Settings
) -> None:
    event, settings.STRIPE_WEBHOOK_SECRET = paid(shop, bob), ""
    assert post(shop, event).status_code == 404


def test_what_stripe_sends_badly_is_refused_and_sent_again(shop: Shop, bob: User) -> None:
    for twist in ({"wrong_secret": True}, {"timestamp": 600}, {"timestamp": -600}):
        shop.knobs(types=["checkout.session.completed"], **twist)
        before = balance(bob)
        shop.pay(shop.order(bob))
        log = [sent for sent in shop.deliver() if sent["type"] == "checkout.session.completed"]
        assert log[-1]["status"] == 400
        shop.stripe.advance(seconds=600)  # Stripe tries again, honestly
        shop.deliver()
        assert balance(bob) == before + nanos("25")


def test_an_event_about_something_gone_is_done_with(shop: Shop, bob: User) -> None:
    event = paid(shop, bob)
    event["data"]["object"]["id"] = "cs_test_gone"
    assert post(shop, event).status_code == 200
    kept = StripeEvent.objects.get()
    assert kept.handled_at is not None and kept.error


def test_an_id_that_is_a_path_leads_nowhere(shop: Shop, bob: User) -> None:
    with pytest.raises(errors.NotFound):
        settlements.settle_intent("../events")


def test_what_was_handled_long_ago_is_forgotten(shop: Shop, bob: User) -> None:
    post(shop, paid(shop, bob))
    assert inbox.forget(now=timezone.now()) == 0
    assert inbox.forget(now=timezone.now() + timedelta(days=91)) == 1
