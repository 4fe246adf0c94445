"""Whatever happens to gateways, consumers and Redis, in whatever order: the books balance.

Real admission (plane/admission.py), real ledger, real usage pipeline, on a real database and a
Valkey of its own that is killed and started again; after every step all of `manage.py reconcile`.
"""

import asyncio
import itertools
import time
from collections.abc import Coroutine, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from accounts.keys import api_keys
from accounts.models import User
from accounts.people import terms
from billing.books import ledger
from billing.plans.models import Plan
from billing.plans.seed import seed as seed_billing
from gateway.catalogue import snapshot
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dialects.ir import Thinking, Usage
from gateway.metering.estimates import Estimate, Hold
from gateway.plane import adapters, admission, callers, life
from gateway.plane.call import Call
from gateway.plane.client_dialects import MESSAGES
from gateway.plane.exchange import Config, Exchange
from gateway.plane.inbound import InboundRequest
from gateway.reconciliation.invariants import problems
from gateway.usage import books, reaper, settlement
from gateway.usage.models import DeadEvent, UsageEvent
from hontoni import redis
from hontoni.errors import ApiError, Unauthenticated
from hontoni.valkey import Valkey
from ratelimits import epochs, keys, limiter
from tests.gateway.reconciliation.books import Books, price
from tests.ratelimits.world import LEASE_MS, advance, expired

T = TypeVar("T")

SLOTS = 3
CENT = 10_000_000
MANY = 1_000_000
amounts = st.integers(1, 20).map(lambda n: n * CENT)
SOME = Usage(input=10, output=10)
moments = st.integers(0, 5)
tokens = st.tuples(st.integers(1, 2_000), st.integers(0, 2_000)).map(
    lambda told: Usage(input=told[0], output=told[1])
)
_accounts = itertools.count(1_007, keys.SHARDS)  # all in one shard: their batches mix


class Killed(BaseException):
    """A process ends here: no `except Exception` sees it."""


def _killed(*args: object) -> None:
    raise Killed


class Story(RuleBasedStateMachine):
    """`running`: calls of the live gateway; `silent`: of one that was killed or is very slow;
    `lost`: open when Redis lost everything; `ended`: settled, and Redis still remembers it."""

    server: Valkey

    @initialize()
    def begin(self) -> None:
        redis.sync().flushall()
        self.runner = asyncio.Runner()
        admission.LIVE.clear()
        callers.forget()
        self.user = User.objects.create(id=next(_accounts), email=f"{time.time_ns()}@example.com")
        self.key, self.raw = api_keys.mint(self.user, "laptop")
        self.books = Books(SLOTS)
        self.running: dict[str, Call] = {}
        self.silent: dict[str, Call] = {}
        self.lost: list[Call] = []
        self.ended: list[Call] = []
        self.consumers = itertools.count()
        self.unread = False  # a dead consumer has taken entries with it
        self.top_up(100 * CENT, times=1, heard=True)

    def teardown(self) -> None:
        admission.LIVE.clear()
        if hasattr(self, "runner"):
            self.run(redis.close())
            self.runner.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    # -- Money comes in --------------------------------------------------------------------------

    @rule(amount=amounts, times=st.integers(1, 2), heard=st.booleans())
    def top_up(self, amount: int, times: int, heard: bool) -> None:
        """Delivered twice it is one; the news of it may never reach Redis."""
        key = f"topup:{self.user.pk}:{self.books.credits_version}"
        with nullcontext() if heard else patch.object(limiter, "publish_credits"):
            for _ in range(times):
                ledger.post(key=key, kind="topup", user_id=self.user.pk, amount=amount)
        self.books.credits += amount
        self.books.credits_version += 1
        callers.forget()  # a lost push is healed when the snapshot expires

    # -- Requests --------------------------------------------------------------------------------

    @rule(data=st.data(), count=st.integers(1, 4), again=st.booleans())
    def traffic(self, data: st.DataObject, count: int, again: bool) -> None:
        """Some requests, of which a few end."""
        for _ in range(count):
            full, floor = data.draw(amounts), data.draw(amounts)
            self.admit(full, floor, data.draw(st.booleans()), data.draw(tokens))
            if again and self.running:
                self.admit_again(data)
            if self.running and data.draw(moments) > 1:
                self.settle(data, data.draw(moments) == 0, data.draw(tokens))

    def admit(self, full: int, floor: int, stream: bool, used: Usage) -> None:
        hold = Hold(max(full, floor), floor)
        caller = self.run(callers.authenticate({b"x-api-key": self.raw.encode()}))
        call = self.run(_call(caller, hold, stream))
        try:
            self.run(admission.admit(call))
            said = "ok"
        except ApiError as error:
            said = error.code
        self.books.seeded = True
        verdict, held = self.books.decide(hold.full, hold.floor, stretch=not stream)
        assert said == verdict
        if said == "ok":
            assert call.held == held
            self.books.admit(call.id, held)
            self.running[call.id] = call
            call.become(life.SENT)
            call.reach()
            call.status, call.usage = 200, used

    def pick(self, data: st.DataObject) -> Call:
        return data.draw(st.sampled_from(list(self.running.values())))

    def admit_again(self, data: st.DataObject) -> None:
        call = self.pick(data)
        state = self.run(limiter.admit(call.admitted_ask()))
        if self.books.seeded:
            assert (state.status, state.hold) == ("ok", self.books.open[call.id].hold)

    def extend(self, data: st.DataObject, step: int) -> None:
        call = self.pick(data)
        granted = self.books.extend(call.id, step)
        for _ in range(2):  # the answer was lost, so it is asked again
            got = self.run(
                limiter.extend(call.admitted_ask(), hold=call.held, step=step, stretch=True)
            )
            assert got.granted == granted
        call.held += granted

    def heartbeat(self) -> None:
        self.run(admission.heartbeat())
        for name, call in self.running.items():
            used = call.usage or Usage()
            self.books.open[name].reported = price(used.input, used.output)

    def settle(self, data: st.DataObject, failed: bool, used: Usage) -> None:
        call = self.pick(data)
        call.end, call.usage = life.End.FAILED if failed else life.End.UNDERWAY, used
        call.close_account()
        self.run(admission.settle(call))
        cost = 0 if failed else min(price(used.input, used.output), call.held)
        self.books.settle(call.id, cost)
        self.ended.append(self.running.pop(call.id))

    def settle_again(self) -> None:
        """By gateways that never heard the answer."""
        for call in self.ended:
            call.life = life.CLOSED
            self.run(admission.settle(call))
            assert call.state is not None and call.state.status == "already"

    @precondition(lambda self: self.running)
    @rule(data=st.data(), step=amounts, beat=st.booleans(), used=tokens)
    def meanwhile(self, data: st.DataObject, step: int, beat: bool, used: Usage) -> None:
        self.pick(data).usage = used
        self.extend(data, step)
        if beat:
            self.heartbeat()

    @rule(data=st.data(), used=tokens, again=st.booleans())
    def requests_end(self, data: st.DataObject, used: Usage, again: bool) -> None:
        while self.running:
            self.settle(data, False, used)
        while self.lost:
            self.settle_what_redis_lost()
        if again:
            self.settle_again()

    # -- Gateways die ----------------------------------------------------------------------------

    def the_gateway_is_killed(self) -> None:
        admission.LIVE.clear()
        callers.forget()
        self.silent |= self.running
        self.running = {}

    def a_lease_passes(self) -> None:
        """The living report in time; the silent lose their slots, and then their holds."""
        advance(LEASE_MS / 2000)
        self.heartbeat()
        advance(LEASE_MS / 2000 + 1)
        self.books.leased -= self.silent.keys()
        if redis.sync().exists(keys.open_requests(keys.shard(self.user.pk))):
            self.heartbeat()
        self.ended.clear()  # the markers of what had settled may be gone by now

    def reap(self) -> None:
        dead = expired()
        names = {each.request_id for each in dead}
        assert names == self.silent.keys() - self.books.leased
        assert reaper.reap(dead) == len(names)
        for name in names:
            request = self.books.open[name]
            self.books.settle(name, min(request.reported, request.hold))
            self.ended.append(self.silent.pop(name))

    def it_was_only_slow(self, data: st.DataObject) -> None:
        """What seemed dead settles after all, before anybody reaped it."""
        name = data.draw(st.sampled_from(list(self.silent)))
        call = self.silent.pop(name)
        call.close_account()
        self.run(admission.settle(call))
        self.books.settle(name, call.cost)
        self.ended.append(call)

    @rule(data=st.data(), kill=moments, wait=moments, slow=st.booleans())
    def gateways_die(self, data: st.DataObject, kill: int, wait: int, slow: bool) -> None:
        self.admit(CENT, CENT, True, SOME)
        self.heartbeat()
        if kill and self.running:
            self.the_gateway_is_killed()
        if wait:
            self.a_lease_passes()
        if slow and self.silent:
            self.it_was_only_slow(data)
        self.reap()
        self.settle_again()

    # -- The usage pipeline ----------------------------------------------------------------------

    def drain(self) -> None:
        settlement.drain(f"consumer-{next(self.consumers)}")
        if not self.unread:
            self.books.waiting.clear()
        else:
            self._sync_waiting()

    def a_consumer_dies_before_its_commit(self) -> None:
        self._dies_in(books, "charge")

    def a_consumer_dies_after_its_commit(self) -> None:
        self._dies_in(settlement, "_acknowledge")

    def _dies_in(self, module: Any, place: str) -> None:
        with patch.object(module, place, _killed):
            try:
                settlement.drain(f"consumer-{next(self.consumers)}")
            except Killed:
                self.unread = True
        self._sync_waiting()

    def _sync_waiting(self) -> None:
        """Which of the waiting are in the books is known only by looking; that nothing but they
        changed is what the invariants prove."""
        self.books.waiting -= settlement.recorded(list(self.books.waiting))

    def take_over(self) -> None:
        settlement.take_over(f"consumer-{next(self.consumers)}")
        self.unread = False
        self._sync_waiting()

    def everything_is_written(self) -> None:
        self.drain()
        self.take_over()
        assert self.books.waiting == set()
        assert redis.sync().xlen(keys.usage(keys.shard(self.user.pk))) == 0

    def deliver_twice(self) -> None:
        """Two consumers with the same batch, neither of which acknowledges it."""
        shard = keys.shard(self.user.pk)
        batch = settlement._entries(shard, redis.sync().xrange(keys.usage(shard)))
        settlement.record(batch)
        assert settlement.record(batch) == 0
        self._sync_waiting()

    @rule(data=st.data(), ways=st.lists(moments, min_size=1, max_size=3))
    def consume(self, data: st.DataObject, ways: list[int]) -> None:
        self.admit(CENT, CENT, True, SOME)
        if self.running:
            self.settle(data, False, SOME)
        all_ways = (
            self.drain,
            self.take_over,
            self.deliver_twice,
            self.a_consumer_dies_before_its_commit,
            self.a_consumer_dies_after_its_commit,
            self.everything_is_written,
        )
        for way in ways:
            all_ways[way]()

    # -- The terms change ------------------------------------------------------------------------

    def terms_change(self) -> None:
        terms.changed(self.user.pk)

    def the_key_is_revoked(self) -> None:
        """The snapshot in the gateway's memory still says yes; admission does not."""
        known = self.run(callers.authenticate({b"x-api-key": self.raw.encode()}))
        api_keys.revoke(self.key)
        call = self.run(_call(known, Hold(0, 0), stream=True))
        with pytest.raises(Unauthenticated):
            self.run(admission.admit(call))
        self.books.seeded = True  # it was made anew before its terms were looked at
        self.key, self.raw = api_keys.mint(self.user, "another")

    @rule(revoke=st.booleans())
    def staff_is_busy(self, revoke: bool) -> None:
        self.the_key_is_revoked() if revoke else self.terms_change()

    # -- Redis fails -----------------------------------------------------------------------------

    def the_account_goes_cold(self) -> None:
        redis.sync().delete(keys.account(self.user.pk))
        self.books.lose_the_account()

    def redis_loses_everything(self) -> None:
        """After the last event was written: what was on its way would be lost, and is not free."""
        self.everything_is_written()
        redis.sync().flushall()
        self.books.lose_everything()
        self.lost += [*self.running.values(), *self.silent.values()]
        admission.LIVE.clear()
        self.running, self.silent = {}, {}
        self.ended.clear()

    def settle_what_redis_lost(self) -> None:
        call = self.lost.pop()
        call.close_account()
        self.run(admission.settle(call))
        assert call.state is not None and call.state.status == "unknown"
        self.books.settle(call.id, call.cost)
        if call.cost:  # only the books can tell whether it was charged before
            self.books.lose_the_account()
        self.ended.append(call)

    @rule(data=st.data(), how=moments, ends=st.booleans())
    def redis_fails(self, data: st.DataObject, how: int, ends: bool) -> None:
        """In mid-request; what is heard of it next is a request that ends, or one that begins."""
        self.admit(CENT, CENT, True, SOME)
        if how == 0:
            self.redis_loses_everything()
        elif how == 1:
            self.redis_restarts(kill=data.draw(st.booleans()))
        else:
            self.the_account_goes_cold()
        if ends and self.running:
            self.settle(data, False, data.draw(tokens))
        self.admit(CENT, CENT, True, SOME)
        if not ends and self.running:
            self.settle(data, False, data.draw(tokens))

    def redis_restarts(self, kill: bool) -> None:
        """Killed or stopped: what it has written to its append-only file is not lost."""
        assert self.server.process is not None
        if kill:
            redis.sync().set("a:mark:of", 1, px=1)
            redis.sync().waitaof(1, 0, 10_000)
            self.server.process.kill()
            self.server.process.wait()
        self.server.stop()
        self.run(redis.close())  # a running gateway notices at once; ours is asleep between steps
        self.server.start()
        epochs.confirm_sync()  # as a running gateway does within a second
        self.books.lose_the_account()

    # -- Always ----------------------------------------------------------------------------------

    @invariant()
    def redis_agrees(self) -> None:
        found = limiter.read_account_sync(self.user.pk)
        assert (found is not None) == self.books.seeded
        if found is not None:
            assert (found.charged, found.held) == (self.books.charged, self.books.held)
            if found.credits_version == self.books.credits_version:
                assert found.credits == self.books.credits

    @invariant()
    def the_database_agrees(self) -> None:
        wallet = ledger.wallet(self.user.pk)
        kept = (wallet.credits_total, wallet.credits_version, wallet.settled_total)
        books = self.books
        assert kept == (books.credits, books.credits_version, books.settled)
        mine = UsageEvent.objects.filter(user=self.user)
        written = {event.request_id: event.cost for event in mine}
        assert written == {n: c for n, c in books.spent.items() if n not in books.waiting}

    @invariant()
    def reconcile_finds_nothing(self) -> None:
        assert problems() == []
        assert not DeadEvent.objects.exists()


async def _call(caller: callers.Caller, hold: Hold, stream: bool) -> Call:
    """A request for claude-sonnet-4 as the pipeline would have prepared it."""

    async def silent(*args: Any) -> Any:
        raise AssertionError("nobody is on the line")

    scope = {"type": "http", "headers": [], "client": ("127.0.0.1", 1)}
    model, variant = (await snapshot.current()).resolve("claude-sonnet-4")
    request = InboundRequest(
        dialect=MESSAGES,
        body=b"{}",
        parsed={},
        name="claude-sonnet-4",
        account=caller.account,
        model=model,
        variant=variant,
        target=model.target,
        thinking=Thinking(),
        estimate=Estimate(likely=1, most=1, output=1, cached=False),
        hold=hold,
        clamps={},
    )
    return Call(
        http=Exchange(scope, silent, silent, Config.read()),
        caller=caller,
        request=request,
        lane=adapters.choose(request),
        stream=stream,
        clamps={},
        ip="127.0.0.1",
    )


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[Valkey]:
    """A Valkey of its own, durable, for everything that says redis.sync() or redis.pipe()."""
    mine = Valkey(tmp_path, tmp_path / "own.sock")
    settings.REDIS_URL = f"unix://{mine.socket}"
    settings.FREEZE_AFTER_STRANGE_BILLS = 0  # here any cost may be above any hold
    redis.sync.cache_clear()
    with mine:
        yield mine
    redis.sync().close()
    redis.sync.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_the_books_balance_whatever_happens(
    server: Valkey, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SIGNUP_CREDIT = "0"
    settings.LEASE_SECONDS = LEASE_MS // 1000
    settings.CONCURRENCY_WAIT_SECONDS = 0
    monkeypatch.setattr(settlement, "ABANDONED_MS", 0)
    monkeypatch.setattr(
        settlement, "MOST_DELIVERIES", MANY
    )  # of the deaths here none is its fault
    seed_billing()
    seed_catalogue()
    snapshot.forget()
    limits = dict.fromkeys(Plan.LIMITS, MANY) | {"concurrent": SLOTS}
    Plan.objects.filter(is_default=True).update(subject="account", **limits)
    Story.server = server
    run_state_machine_as_test(Story, settings=_BOUNDS)


_BOUNDS = settings(
    max_examples=10,
    stateful_step_count=25,
    phases=[Phase.generate],  # a step costs 50 ms: shrinking would outlast the test's time
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
