"""A year of the catalogue, played: models appear, rise, retire, are sold below cost and read from
sources that disagree, with traffic all the while.

Each month customers ask, staff decide and beat runs. The clock is moved by moving everything that
has a date, so that what binds "in 14 days" has come when the month is over. In the end the books
balance, no request was priced by a version that was not in force, and no customer paid a bucket
more than before without a mail that named the new price before it bound.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from billing.mails.models import Notice
from gateway import tasks
from gateway.catalogue import snapshot
from gateway.catalogue.models import BUCKETS, Model, Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.pricing import accepting, published
from gateway.pricing.models import Kind, Proposal, State
from gateway.usage.models import UsageEvent
from hontoni.money import nanos
from tests.gateway.plane.test_limits import limit
from tests.gateway.pricing.mirrors import dearer, edit
from tests.gateway_server import Gateway, fund
from tests.world import Person

USED = "[[usage: 1000 500 0]] [[say: hi]]"
MONTH = timedelta(days=30)


class Year:
    """The product, its customers, and a clock that staff cannot see."""

    def __init__(self, gateway: Gateway, people: list[Person], mirror: Path) -> None:
        self.gateway, self.people, self.mirror = gateway, people, mirror
        self.past = timedelta(0)  # how much later it is than this machine says
        self.answers: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.models = ["gpt-5.2", "gpt-5.4", "gpt-5-mini", "claude-haiku-4.5"]

    def month(self) -> None:
        """Beat, the calendar's leaf, and traffic."""
        tasks.announce_catalogue()
        self.pass_by(MONTH)
        tasks.announce_catalogue()
        self.ask()

    def ask(self) -> None:
        for person in self.people:
            for model in self.models:
                answer = self.gateway.chat(person, USED, model=model, max_tokens=1000)
                self.answers[model, answer.status_code] += 1
        self.gateway.books()

    def pass_by(self, span: timedelta) -> None:
        """All that has a date is so much longer ago."""
        self.past += span
        for rows, *names in (
            (Model.objects.filter(ends_at__isnull=False), "ends_at", "deprecated_at"),
            (Price.objects.all(), "effective_at"),
        ):
            rows.update(**{name: F(name) - span for name in names})
        snapshot.forget()

    def accept(self, kind: Kind, source: str = "", **which: Any) -> None:
        (row,) = Proposal.objects.filter(kind=kind, state=State.OPEN, **which)
        accepting.accept(row.pk, actor="staff@example.com", source=source)
        snapshot.forget()

    def sync(self) -> None:
        call_command("catalogue", "sync")


@pytest.fixture
def year(
    gateway: Gateway,
    alice: Person,
    bob: Person,
    mirror: Path,
    settings: Settings,
) -> Iterator[Year]:
    published.seed()
    Model.objects.update(ends_at=None, successor=None, redirects=False)
    for person in (alice, bob):
        fund(person, "100")
        limit(person, rpm=10**6, five_hours=10**6, daily=10**6, weekly=10**6, monthly=10**6)
    limit(alice, monthly=10**6)
    snapshot.forget()
    yield Year(gateway, [alice, bob], mirror)


@pytest.mark.any_database
@pytest.mark.timeout(300)
def test_a_year_surprises_nobody(year: Year, alice: Person, bob: Person) -> None:
    year.ask()
    year.month()

    # A vendor raises a price; two sources say so, and staff follow.
    dearer(year.mirror, "gpt-5.2", 28.0, "models.dev.json", "litellm.json")
    year.sync()
    year.accept(Kind.COST, model="gpt-5.2")
    year.month()

    # Two sources disagree, twice; the second time staff choose.
    dearer(year.mirror, "gpt-5.2", 29.0, "models.dev.json")
    year.sync()
    year.sync()
    assert Proposal.objects.filter(kind=Kind.DISAGREEMENT, state=State.OPEN).count() == 1
    year.accept(Kind.DISAGREEMENT, source="models.dev", model="gpt-5.2")
    year.month()

    # A model is sold below cost; that is mended, with notice.
    year.accept(Kind.BELOW_COST, model="gpt-5.4")
    year.month()

    # A new model appears, and is sold.
    year.accept(Kind.NEW_MODEL, name="claude-haiku-5-5")
    year.models.append("claude-haiku-5.5")
    year.month()

    # One customer agrees on a price, for a while, and hears of its end before.
    mine = CustomerPrice.objects.create(
        user=bob.user,
        model_id="gpt-5.2",
        multiplier=8_000,
        from_at=timezone.now(),
        until_at=timezone.now() + timedelta(days=10),
    )
    snapshot.forget()
    year.month()
    CustomerPrice.objects.filter(pk=mine.pk).update(until_at=timezone.now())
    snapshot.forget()
    year.month()
    own = [e for e in UsageEvent.objects.all() if "own" in str(e.details.get("lines"))]
    assert {e.user_id for e in own} == {bob.user.pk} and len(own) == 1

    # One model retires for a successor that is not dearer, one for good.
    now = timezone.now()
    Model.objects.filter(pk="gpt-5-mini").update(
        ends_at=now + timedelta(days=61), successor="gpt-5.4-mini", redirects=True
    )
    Model.objects.filter(pk="claude-haiku-4.5").update(
        ends_at=now + timedelta(days=61), successor="claude-haiku-5.5"
    )
    snapshot.forget()
    for days in (2, 45, 13):
        year.pass_by(timedelta(days=days))
        tasks.announce_catalogue()
        year.ask()
    year.month()
    edit(year.mirror / "litellm.json", lambda body: body["gpt-5.4"].update(max_output_tokens=1))
    year.sync()
    year.month()
    year.month()

    assert_everybody_was_told_of_every_rise(year)
    assert_no_dead_version_priced_anything()
    told = Notice.objects.filter(kind="model_ends", user=alice.user)
    assert sorted(each.facts["model"] for each in told) == [
        *["claude-haiku-4.5"] * 3,
        *["gpt-5-mini"] * 3,
    ]
    assert year.answers["gpt-5-mini", 200] and not year.answers["gpt-5-mini", 404]
    assert year.answers["claude-haiku-4.5", 404] == 6
    assert {status for _, status in year.answers} == {200, 404}
    instead = [e for e in UsageEvent.objects.all() if "instead_of" in e.details]
    assert instead and {e.details["instead_of"]["price"] for e in instead} == {"lower"}
    assert year.past >= timedelta(days=360)


def assert_everybody_was_told_of_every_rise(year: Year) -> None:
    """Who paid more for a bucket than at their last request of that name had a mail that named
    that price, written before it bound."""
    told: defaultdict[tuple[int, str, str], set[str]] = defaultdict(set)
    for notice in Notice.objects.filter(kind="model_price_rises"):
        for row in notice.facts["rows"]:
            told[notice.user_id, notice.facts["model"], row["bucket"]].add(row["new"])
    rises = 0
    last: dict[Any, Any] = {}
    for event in UsageEvent.objects.select_related("price").order_by("id"):
        price = event.price
        for bucket in BUCKETS:
            place = event.user_id, event.model, bucket
            before, now = last.get(place), getattr(price, bucket)
            last[place] = now
            if before is not None and now > before:
                rises += 1
                assert any(Decimal(each) * 10**9 == now for each in told[place]), place
    assert rises > 10
    for notice in Notice.objects.filter(kind="own_price_ends"):
        assert notice.facts["model"] == "gpt-5.2"
    assert Notice.objects.filter(kind="own_price_ends").count() == 1


def assert_no_dead_version_priced_anything() -> None:
    """Each request's version was the newest that had begun when it was admitted: of its model's
    versions no other begins between that one and the request. Dates have moved since, all alike;
    the ids of versions, and when requests were admitted, have not."""
    by_model: defaultdict[str, list[Price]] = defaultdict(list)
    for price in Price.objects.order_by("effective_at", "id"):
        by_model[price.model_id].append(price)
    used: defaultdict[str, list[int]] = defaultdict(list)
    for event in UsageEvent.objects.order_by("id"):
        order = [price.pk for price in by_model[event.model]]
        used[event.model].append(order.index(event.price_id))
        assert event.cost > 0 and nanos("0") < event.hold
        admitted = datetime.fromtimestamp(event.details["admitted_at"] / 1e6, UTC)
        assert admitted <= timezone.now()
    for model, versions in used.items():
        assert versions == sorted(versions), f"{model} went back to a dead version"
        assert versions[-1] == len(by_model[model]) - 1, f"{model} stuck to a dead version"
