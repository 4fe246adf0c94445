"""A model or a customer that costs more than it pays: staff hear of it, once."""

from datetime import UTC, date, datetime

import pytest
from django.core import mail
from pytest_django.fixtures import Settings

from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.models import BUCKETS
from gateway.reconciliation.vendors import margin_alarms
from gateway.reconciliation.vendors.models import MarginAlarm
from hontoni.money import nanos
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

USED = "[[usage: 1000 500 0]] [[say: hi]]"  # $0.0075 at gpt-4o's price


@pytest.fixture
def today(gateway: Gateway, alice: Person, settings: Settings) -> date:
    """On which alice has used a model that costs us ten times what it is sold for."""
    settings.MARGIN_ALARM_DOLLARS = "0.05"
    fund(alice, "10")
    staff("finance")
    mail.outbox.clear()
    assert gateway.chat(alice, USED, max_tokens=1000).status_code == 200
    gateway.books()
    return datetime.now(UTC).date()


def costs(of: str, day: date) -> None:
    rates = dict.fromkeys(BUCKETS[:5], nanos(of))
    VendorPrice.objects.create(model_id="gpt-4o", since=day, **rates)


def test_a_day_that_lost_money_is_told_once_until_it_has_lost_twice_as_much(
    gateway: Gateway, alice: Person, today: date
) -> None:
    costs("50", today)
    found = margin_alarms.look(today, today)
    assert [(each.model, each.customer) for each in found] == [
        ("gpt-4o", ""),
        ("", str(alice.user.pk)),
    ]
    (told,) = mail.outbox
    assert "gpt-4o: lost $0.0675" in told.body and "−90 %" in told.body
    margin_alarms.look(today, today)
    assert len(mail.outbox) == 1
    costs("150", today)
    margin_alarms.look(today, today)
    assert len(mail.outbox) == 2 and MarginAlarm.objects.count() == 2


@pytest.mark.parametrize("of", ["5", "10", None])
def test_a_small_loss_a_gain_and_what_nobody_knows_are_no_alarm(
    gateway: Gateway, today: date, of: str | None
) -> None:
    if of:
        costs(of, today)
    assert margin_alarms.look(today, today) == [] and mail.outbox == []
