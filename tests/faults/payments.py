"""Purchases of the simulator: customers pay on the pages of a simulated Stripe, which tells of it
late, twice, in the wrong order, or never; what it never tells is found by asking."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from billing.models import Transfer
from billing.payments import inbox
from billing.stripe.models import Quarantine
from tests.billing.shop import Shop
from tests.world import Person

CENT = 10_000_000  # nano-dollars


@dataclass(eq=False)
class Payments:
    """`paid`: of each order that Stripe took money for, the account and the cents."""

    shop: Shop
    chance: random.Random
    paid: dict[str, tuple[int, int]] = field(default_factory=dict)

    def pay(self, person: Person) -> None:
        """An order, and a card that pays it. Stripe's word of it waits."""
        cents = self.chance.randrange(500, 3_000)
        order = self.shop.order(person.user, f"{cents / 100:.2f}")
        self.shop.pay(order)
        self.paid[str(order.pk)] = person.user.pk, cents

    def deliver(self) -> None:
        """What waits is delivered, as well as it is today."""
        self.shop.knobs(
            drop=self.chance.random() < 0.3,
            duplicate=self.chance.randrange(0, 3),
            reorder=self.chance.random() < 0.5,
            delay=self.chance.choice((0, 0, 3_600)),
        )
        self.shop.deliver()

    def heal(self) -> None:
        """Everything is delivered, and Stripe is asked for what it never told."""
        self.shop.knobs()
        self.shop.deliver()
        self.ask()

    def ask(self) -> None:
        """As the worker does each hour."""
        now: Any = timezone.now()
        inbox.poll(now=now)
        inbox.retry(now=now + timedelta(hours=2))

    def check(self, person: Person) -> None:
        """Each payment was credited once; or staff have it before them, if a restore took the
        order that it was for."""
        user = person.user.pk
        entries = Transfer.objects.filter(kind="topup", credit__code=f"wallet:{user}")
        credited = sum(entries.values_list("amount", flat=True))
        lost = set(
            Quarantine.objects.filter(problem="unknown_order").values_list(
                "details__topup", flat=True
            )
        )
        mine = {order: cents for order, (account, cents) in self.paid.items() if account == user}
        due = sum(cents for order, cents in mine.items() if order not in lost)
        assert credited == due * CENT, f"account {user}: {credited} of {due} cents credited"
