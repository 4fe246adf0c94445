"""Any story of top-ups, refunds, codes and referrals against a pure model; the books balance."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.payments import funding, reconcile
from billing.rewards import promos, referrals
from billing.rewards.models import PromoCode, Referral
from hontoni.money import CENT
from tests.billing.conftest import committed
from tests.confirmed import confirm

pytestmark = committed

DAY = timedelta(days=1)
HOLD = 30
PERCENT = 10
cents = st.integers(1, 20_000).map(lambda cents: cents * 10_000_000)


def in_cents(amount: int) -> int:
    """What is given is whole cents, and never more than was promised."""
    return amount // CENT * CENT


@dataclass
class TopUp:
    """One top-up of the invited account, and the bonus that came with it."""

    row: Transfer
    amount: int
    bonus: int
    left: int

    @property
    def share(self) -> int:
        return in_cents(self.bonus * min(max(self.left, 0), self.amount) // self.amount)


@dataclass
class Model:
    """What must be true, in a few sums. `history` is the reward from each settlement on."""

    top_ups: list[TopUp] = field(default_factory=list)
    waiting: list[tuple[int, int]] = field(default_factory=list)  # percent, minimum
    credit: int = 0
    accrued: int = 0
    paid: int = 0
    history: list[tuple[datetime, int]] = field(default_factory=list)
    rejected: bool = False

    def balance(self) -> int:
        return self.credit + sum(one.left + one.share for one in self.top_ups)

    def reward(self) -> int:
        total = max(sum(one.left for one in self.top_ups), 0)
        return 0 if self.rejected else in_cents(total * PERCENT // 100)

    def settle(self, now: datetime) -> None:
        """The reward is paid as far as it stood all through the hold period."""
        if self.reward() != self.accrued:
            self.accrued = self.reward()
            self.history.append((now, self.accrued))
        began = now - HOLD * DAY
        before = [total for at, total in self.history if at <= began]
        since = [total for at, total in self.history if at > began]
        self.paid = min([before[-1] if before else 0, *since])


class Rewards(RuleBasedStateMachine):
    @initialize(uses=st.integers(1, 3), percent=st.integers(1, 100), minimum=cents)
    def world(self, uses: int, percent: int, minimum: int) -> None:
        """New people and codes each time: what was written once stays."""
        self.now = timezone.now()
        names = [uuid.uuid4().hex for _ in range(3)]
        referrer, invitee = (User.objects.create_user(f"{name}@{name}.org") for name in names[:2])
        confirm(invitee)
        confirm(referrer)
        self.referrer, self.invitee = referrer.pk, invitee.pk
        code = referrals.code_of(referrer.pk)
        self.referral = referrals.accept(invitee, code, address=names[2], now=self.now)
        self.uses, self.percent, self.minimum = uses, percent, minimum
        start = self.now - DAY
        common = {"valid_from": start, "max_uses_per_account": 10}
        self.gift = PromoCode.objects.create(
            code=names[0], kind="credit", amount=5_000_000_000, max_uses=uses, **common
        )
        self.bonus = PromoCode.objects.create(
            code=names[1], kind="percent", percent=percent, minimum_top_up=minimum, **common
        )
        self.model, self.given, self.redeemed = Model(), 0, 0

    # -- What the invited account does -----------------------------------------------------------

    @rule(amount=cents, again=st.booleans())
    def top_up(self, amount: int, again: bool) -> None:
        key = f"topup:{uuid.uuid4().hex}"
        for _ in range(1 + again):
            row, _ = funding.credit(key=key, kind="topup", user_id=self.invitee, amount=amount)
        bonus = 0
        fitting = [one for one in self.model.waiting if amount >= one[1]]
        if fitting:
            self.model.waiting.remove(fitting[0])
            bonus = in_cents(amount * fitting[0][0] // 100)
        self.model.top_ups.append(TopUp(row, amount, bonus, amount))

    @precondition(lambda self: self.model.top_ups)
    @rule(data=st.data(), part=st.integers(1, 100), again=st.booleans(), won=st.booleans())
    def take_back(self, data: st.DataObject, part: int, again: bool, won: bool) -> None:
        """A refund; or a dispute, which may be won."""
        chosen = data.draw(st.sampled_from(self.model.top_ups))
        amount, kind = chosen.amount * part // 100 or 1, "dispute" if won else "refund"
        for signed in [amount, -amount] if won else [amount]:
            key = uuid.uuid4().hex
            for _ in range(1 + again):
                funding.take_back(
                    key=key, kind=kind, user_id=self.invitee, top_up=chosen.row, amount=signed
                )
            chosen.left -= signed
            assert ledger.balance(self.invitee) == self.model.balance()

    @rule()
    def redeem_the_gift(self) -> None:
        if self.given < self.uses:
            promos.redeem(self.invitee, self.gift.code, self.now)
            self.given += 1
            self.model.credit += self.gift.amount
        else:
            with pytest.raises(promos.NotForYou, match="used up"):
                promos.redeem(self.invitee, self.gift.code, self.now)

    @rule()
    def redeem_the_bonus(self) -> None:
        if self.redeemed < 10:
            promos.redeem(self.invitee, self.bonus.code, self.now)
            self.redeemed += 1
            self.model.waiting.append((self.percent, self.minimum))

    # -- Time, staff and the beat ----------------------------------------------------------------

    @rule(days=st.integers(0, 40), times=st.integers(1, 2))
    def settle(self, days: int, times: int) -> None:
        self.now += days * DAY
        for _ in range(times):
            referrals.settle(self.referral.pk, self.now)
        self.model.settle(self.now)

    @rule(days=st.integers(0, 40))
    def the_beat_misses_nothing(self, days: int) -> None:
        self.now += days * DAY
        referrals.settle_all(self.now)
        self.model.settle(self.now)

    @rule()
    def staff_change_their_mind(self) -> None:
        self.model.rejected = not self.model.rejected
        referrals.review(self.referral.pk, approve=not self.model.rejected)

    # -- What is always true ---------------------------------------------------------------------

    @invariant()
    def the_invited_account_has_what_the_model_says(self) -> None:
        assert ledger.balance(self.invitee) == self.model.balance()

    @invariant()
    def the_referrer_has_what_the_model_says(self) -> None:
        found = Referral.objects.get(pk=self.referral.pk)
        assert ledger.balance(self.referrer) == found.paid == self.model.paid

    @invariant()
    def uses_are_counted_and_capped(self) -> None:
        self.gift.refresh_from_db()
        assert self.gift.uses == self.given <= self.uses

    def teardown(self) -> None:
        assert reconcile.problems() == []


def test_rewards() -> None:
    run_state_machine_as_test(
        Rewards,
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
