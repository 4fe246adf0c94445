"""Any story of posts, requests, batches, crashes and a forgetful Redis against a pure model."""

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Sequence

import pytest
from django.db import transaction
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
from billing.books.balances import live
from billing.books.models import LedgerAccount, Transfer
from billing.books.seeding import seed_account
from billing.payments import reconcile
from hontoni import redis
from ratelimits import keys, limiter
from tests.billing.conftest import committed

pytestmark = committed

NAMES = ("alice", "bob")
who = st.sampled_from(NAMES)
amounts = st.integers(1, 10_000_000_000)
# Usage has rules of its own here; a bank's transfers are proven against the bank's rows.
kinds = st.sampled_from(
    [each for each in Transfer.Kind if each not in ("usage", "bank_topup", "bank_refund")]
)


class Money(RuleBasedStateMachine):
    @initialize()
    def world(self) -> None:
        """New people each time: what was written once stays."""
        redis.sync().flushall()
        self.ids = {
            name: User.objects.create_user(f"{uuid.uuid4().hex}@example.com").pk for name in NAMES
        }
        self.credits: dict[str, int] = defaultdict(int)
        self.versions: dict[str, int] = defaultdict(int)
        self.spent: dict[str, int] = defaultdict(int)
        self.settled: dict[str, int] = defaultdict(int)
        self.posted: dict[str, tuple[str, str, int]] = {}
        self.recorded: set[str] = set()
        self.corrected = 0  # nano-dollars of usage that were given back
        self.house = _house()

    # -- The control plane -----------------------------------------------------------------------

    @rule(name=who, kind=kinds, amount=amounts, debit=st.booleans(), again=st.booleans())
    def post(self, name: str, kind: str, amount: int, debit: bool, again: bool) -> None:
        signed = -amount if debit else amount
        key = uuid.uuid4().hex
        earnings = _house()["revenue:subscriptions"]
        if kind == "subscription" and not debit and amount > earnings:
            return  # more than was ever earned
        if kind == "correction" and not debit and amount > _house()["revenue:usage"]:
            return  # likewise
        poor = self.credits[name] - self.settled[name] + signed < 0
        for _ in range(1 + again):
            if debit and poor and kind not in ledger.TAKES_BELOW_ZERO:
                with pytest.raises(ledger.Overdrawn):
                    self._post(key, name, kind, signed)
            else:
                self._post(key, name, kind, signed)
                self.posted[key] = (name, kind, signed)
        if key in self.posted:
            self.credits[name] += signed
            self.versions[name] += 1
            self.corrected += signed if kind == "correction" else 0

    def _post(self, key: str, name: str, kind: str, amount: int) -> None:
        ledger.post(key=key, kind=kind, user_id=self.ids[name], amount=amount)

    @precondition(lambda self: self.posted)
    @rule(data=st.data(), name=who, kind=kinds, amount=amounts)
    def reuse_a_key(self, data: st.DataObject, name: str, kind: str, amount: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.posted)))
        if (name, kind, amount) == self.posted[key]:
            return
        with pytest.raises(ledger.KeyReused):
            self._post(key, name, kind, amount)

    # -- The data plane --------------------------------------------------------------------------

    @rule(name=who, cost=st.integers(0, 3_000_000_000), times=st.integers(1, 2))
    def finish_a_request(self, name: str, cost: int, times: int) -> None:
        request = uuid.uuid4().hex
        for _ in range(times):
            asyncio.run(_settle(request, self.ids[name], cost))
        self.spent[name] += cost

    @rule(crash=st.booleans())
    def consume(self, crash: bool) -> None:
        """One batch a shard. A consumer that dies after its commit leaves the stream as it was."""
        for name, user_id in self.ids.items():
            stream = keys.usage(keys.shard(user_id))
            batch = redis.sync().xrange(stream)
            new = {_id(fields): int(fields[b"cost"]) for _, fields in batch}
            new = {event: cost for event, cost in new.items() if event not in self.recorded}
            if sum(new.values()):
                with transaction.atomic():
                    ledger.charge_usage(
                        key=f"usage:{min(new)}:{max(new)}",
                        user_id=user_id,
                        amount=sum(new.values()),
                    )
            self.settled[name] += sum(new.values())
            self.recorded |= set(new)
            if batch and not crash:
                redis.sync().xdel(stream, *(stream_id for stream_id, _ in batch))

    @rule(name=who)
    def seed(self, name: str) -> None:
        seed_account(self.ids[name], recorded=self._recorded)

    @rule(name=who)
    def redis_forgets_an_account(self, name: str) -> None:
        redis.sync().delete(keys.account(self.ids[name]))

    def _recorded(self, events: Sequence[str]) -> set[str]:
        return self.recorded & set(events)

    # -- What is always true ---------------------------------------------------------------------

    @invariant()
    def wallets_are_as_the_model_says(self) -> None:
        for name, user_id in self.ids.items():
            wallet = ledger.wallet(user_id)
            kept = (wallet.credits_total, wallet.credits_version, wallet.settled_total)
            assert kept == (self.credits[name], self.versions[name], self.settled[name])

    @invariant()
    def a_live_balance_counts_every_request(self) -> None:
        for name, user_id in self.ids.items():
            if limiter.read_account_sync(user_id) is not None:
                assert live(user_id).balance == self.credits[name] - self.spent[name]

    @invariant()
    def our_accounts_mirror_the_wallets(self) -> None:
        now = _house()
        used = now["revenue:usage"] - self.house["revenue:usage"]
        assert used == sum(self.settled.values()) - self.corrected
        given = sum(self.house.values()) - (sum(now.values()) - used)
        assert given == sum(self.credits.values()) - self.corrected

    def teardown(self) -> None:
        assert reconcile.counters(recorded=self._recorded) == []
        assert reconcile.problems() == []


def _house() -> dict[str, int]:
    ours = LedgerAccount.objects.exclude(code__startswith="wallet:")
    return defaultdict(int, ours.values_list("code", "balance"))


def _id(fields: dict[bytes, bytes]) -> str:
    return str(json.loads(fields[b"event"])["id"])


async def _settle(request: str, account: int, cost: int) -> None:
    ask = limiter.Ask(
        request_id=request,
        account=account,
        subject=f"a{account}",
        limits=limiter.Limits(),
        terms_version=1,
        credits=0,
        credits_version=0,
        full=0,
        floor=0,
        lease_ms=1000,
    )
    await limiter.settle(ask, cost=cost, event=json.dumps({"id": request}))
    await redis.close()


def test_money() -> None:
    run_state_machine_as_test(
        Money,
        settings=settings(
            max_examples=20,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
