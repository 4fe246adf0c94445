"""All of it, day by day: who signs up, what is paid, what is asked for, what the worker does."""

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils import timezone

from billing.books import ledger
from billing.books.models import Wallet
from billing.mails import sending
from billing.mails.models import Mail
from billing.payments.models import TopUp
from billing.rewards.models import PromoCode
from gateway.usage import ledger_roots
from gateway.usage.models import Refusal
from hontoni import months
from hontoni.money import DOLLAR, nanos
from operations.demo import clock, people, traffic
from operations.demo.clock import Clock
from operations.demo.people import Customer
from operations.demo.purchases import DISPUTED, REFUNDED, Till, attempt
from ratelimits import rebuilding

PARTS = 3  # settlement's batches of a day
CODE = "HELLO10"
Say = Callable[[str], object]
Later = tuple[datetime, Callable[[], object]]


@dataclass(slots=True)
class Demo:
    """The state of the story: who is there, and what is still to happen."""

    clock: Clock
    chance: random.Random
    till: Till
    traffic: traffic.Traffic
    customers: list[Customer]
    end: datetime
    later: list[Later] = field(default_factory=list)
    missing: int = 0  # requests of days on which nobody was there yet

    def day(self, day: datetime, requests: int) -> None:
        """From midnight to midnight, or to the end."""
        over = min(day + timedelta(days=1), self.end)
        for customer in self.customers:
            if day <= customer.since < over:
                self.at(customer.since, partial(self._arrive, customer))
        wanted = requests + self.missing
        events = self.traffic.of_day(self.customers, day, self.end, wanted)
        self.missing = wanted - len(events)
        self._fill(events)
        self._happen(over)
        self.at(over, self.till.daily)
        Refusal.objects.bulk_create(
            self.traffic.refusals(self.customers, day), ignore_conflicts=True
        )

    def at(self, moment: datetime, do: Callable[[], object]) -> None:
        self.clock.move(max(moment, self.clock.now))
        attempt(do)

    def _arrive(self, customer: Customer) -> None:
        people.sign_up(customer, self.chance)
        if self.chance.random() < 0.15:
            attempt(partial(self.till.redeem, customer, CODE))
        if self.chance.random() < 0.9:
            self._top_up(customer, customer.habit.top_up)
            if customer.habit.plan:
                attempt(partial(self.till.subscribe, customer))

    def _fill(self, events: list[dict[str, Any]]) -> None:
        """Top up whoever will need it, then have the requests settled as they come."""
        self._provide(traffic.needs(events))
        size = len(events) // PARTS + 1
        for first in range(0, len(events), size):
            part = events[first : first + size]
            last = datetime.fromtimestamp(part[-1]["began"], UTC)
            self.at(last, partial(traffic.record, part))

    def _provide(self, spent: Mapping[int, int]) -> None:
        """Nobody runs dry: what is not covered is topped up in the morning."""
        balances = {w.pk: w.balance for w in Wallet.objects.filter(pk__in=spent)}
        for customer in self.customers:
            pk = customer.user.pk
            short = spent.get(pk, 0) + 2 * DOLLAR - balances.get(pk, 0)
            if pk in spent and short > 0:
                size = max(customer.habit.top_up, short // DOLLAR + 1)
                self.at(self.clock.now, partial(self._top_up, customer, size))

    def _top_up(self, customer: Customer, dollars: int) -> None:
        order = self.till.top_up(customer, min(dollars, int(settings.TOPUP_MAX)))
        if order is None:
            return
        lot = self.chance.random()
        if lot < REFUNDED:
            self._plan(self.chance.uniform(1, 6), partial(self.till.refund, order))
        elif lot < REFUNDED + DISPUTED:
            self._plan(self.chance.uniform(3, 12), partial(self._dispute, order))

    def _dispute(self, order: TopUp) -> None:
        dispute = self.till.dispute(order)
        self._plan(self.chance.uniform(12, 20), partial(self.till.decide, dispute))

    def leave_open(self, disputes: int = 2) -> None:
        """The newest payments that may be disputed are: somebody is to answer that."""
        paid = TopUp.objects.filter(state=TopUp.State.PAID, disputes=None).order_by("-paid_at")
        for order in paid.exclude(amount__lt=10 * DOLLAR)[:disputes]:
            attempt(partial(self.till.dispute, order))

    def _plan(self, days: float, do: Callable[[], object]) -> None:
        self.later.append((self.clock.now + timedelta(days=days), do))

    def _happen(self, until: datetime) -> None:
        """What was to happen by now."""
        due = sorted((each for each in self.later if each[0] < until), key=lambda each: each[0])
        self.later = [each for each in self.later if each[0] >= until]
        for moment, do in due:
            self.at(moment, do)


def make(
    customers: int, requests: int, *, seed: int, say: Say, begin: datetime | None = None
) -> None:
    """Make all of it, from `begin` (the first of last month) up to now. The books must be empty,
    and Stripe simulated."""
    chance, end = random.Random(seed), timezone.now()
    begin = begin or months.shifted(months.begin(end), -1)
    _hurry()
    with clock.standing(begin) as now:
        now.control("webhooks", drop=True)  # what comes of them is found by asking
        drawn = people.draw(chance, customers, begin, end)
        story = Demo(now, chance, Till(now, chance), traffic.Traffic(chance), drawn, end)
        people.hire()
        _offer()
        for day, count in traffic.spread(requests, begin, end):
            story.day(day, count)
            say(f"{day:%Y-%m-%d}: {count:,} requests")
        now.move(end)
        story.leave_open()
        now.tell()
        now.stripe.delete("/_control/webhooks")
    _close()


def _hurry() -> None:
    """Nothing waits for the disk, and what would be sent to the worker is done here and now."""
    current_app.conf.task_always_eager = True
    settings.STRIPE_MIRROR = False
    for talker in ("httpx", "celery.app.trace"):
        logging.getLogger(talker).setLevel(logging.WARNING)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")


def _offer() -> None:
    PromoCode.objects.create(
        code=CODE,
        kind=PromoCode.Kind.CREDIT,
        amount=nanos("10"),
        note="Conference in autumn",
        valid_from=timezone.now(),
    )


def _close() -> None:
    """What Valkey was told on the way is out of date: it makes every account anew."""
    rebuilding.forget_sync(list(Wallet.objects.values_list("pk", flat=True)))
    ledger_roots.make(timezone.now() + timedelta(hours=2))
    ledger.mark()
    sending.collect()  # nobody is there to be written to
    Mail.objects.update(status=Mail.Status.SENT, attempts=1, sent_at=F("due_at"))
    connection.close()
