"""Whatever happens, in whatever order, the scripts and the model agree, and no money is lost."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, assume, settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from hontoni import redis
from ratelimits import keys, limiter
from ratelimits.limiter import Limits, State
from ratelimits.purses import Caps
from tests.ratelimits import world
from tests.ratelimits.model import (
    MINUTE,
    UNKNOWN,
    Model,
    Period,
    Purse,
    Request,
    Subject,
    Today,
)
from tests.ratelimits.world import ALICE, EVENT, ask, expired

T = TypeVar("T")

SECOND = 1_000_000
PLANS = st.sampled_from(
    [
        Limits(3, 4, 5, 6, 7, 2),
        Limits(2, 6, 5, 4, 9, 3),
        Limits(rpm=1, weekly=3),
        Limits(concurrent=1),
        Limits(rpm=8, concurrent=9),
        Limits(),
    ]
)
CAPS = st.sampled_from(
    [
        Caps("p1"),
        Caps("p1", 60),
        Caps("p1", month=90),
        Caps("p1", 50, 120),
        Caps("p2", 30, 30),
        Caps("p1", life=150),
        Caps("p2", 40, life=110),
    ]
)
AMOUNTS = st.integers(0, 40)
SPANS = st.sampled_from([1, 20, 40, 60, 3600, 5 * 3600, 24 * 3600, 7 * 24 * 3600, 30 * 24 * 3600])
MARKER = 60 * SECOND  # half the life of a settled record: a repeat is only sure to be known in it


def something_runs(machine: "Admission") -> bool:
    return bool(machine.model.open)


def is_seeded(machine: "Admission") -> bool:
    return machine.model.credits is not None


class Admission(stateful.RuleBasedStateMachine):
    """`self.past`: how far stored time has been moved back; model time = Redis's clock + past."""

    @initialize(credits=st.integers(0, 300))
    def begin(self, credits: int) -> None:
        redis.sync().flushall()
        self.runner = asyncio.Runner()
        self.past = 0
        self.model = Model({"k1": Subject(), "k2": Subject()})
        self.ended: dict[str, tuple[limiter.Ask, int]] = {}  # -> when a repeat is no longer known
        self.admitted: dict[str, list[int]] = {"k1": [], "k2": []}
        self.lost: list[limiter.Ask] = []  # open when Redis lost everything
        self.days = self.months = self.purse_epochs = 0  # that stored days have moved back
        self.costs: list[tuple[str, int, int, int]] = []  # purse, day, month, cost: the books
        # The database: what billing knows.
        self.credits, self.credits_version, self.terms = credits, 1, 1
        self.settled = 0
        self.seed()

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(redis.close())
            self.runner.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def now(self) -> int:
        seconds, micros = redis.sync().time()
        return int(seconds) * SECOND + int(micros) + self.past

    def clock(self, state: State) -> int:
        return state.now + self.past

    def today(self, state: State) -> Today:
        """By Redis's clock, past the midnights of the test."""
        now = datetime.fromtimestamp(state.now / SECOND, UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        ms = state.now // 1000
        return Today(
            int(midnight.timestamp()) // 86_400 + self.days,
            int(first.timestamp()) // 86_400 + self.months,
            int(midnight.timestamp() + 86_400) * 1000 - ms,
            int(following.timestamp()) * 1000 - ms,
        )

    def agree(self, state: State, subject: str, rpm: int) -> None:
        """The numbers of an answer are the model's, after the call."""
        now, known = self.clock(state), self.model.subjects[subject]
        known.look(now)
        assert (state.balance, state.held) == (self.model.balance(), self.model.held)
        assert state.active == len(known.leases)
        assert world.used(state) == known.used()
        assert world.resets(state) == known.resets(now, rpm)

    # -- Admission -------------------------------------------------------------------------------

    @rule(
        subject=st.sampled_from(["k1", "k2"]),
        limits=PLANS,
        full=AMOUNTS,
        floor=AMOUNTS,
        stretch=st.booleans(),
        commit=st.integers(0, 4).map(bool),
        caps=CAPS,
    )
    def admit(
        self,
        subject: str,
        limits: Limits,
        full: int,
        floor: int,
        stretch: bool,
        commit: bool,
        caps: Caps,
    ) -> None:
        asked = ask(
            subject=subject,
            limits=limits,
            full=max(full, floor),
            floor=floor,
            stretch=stretch,
            terms_version=self.terms,
            credits=self.credits,
            credits_version=self.credits_version,
            caps=caps,
        )
        before = world.everything()
        state = self.run(limiter.admit(asked, commit))
        if self.model.credits is None:
            assert state.status == "cold"
            assert world.everything() == before
            self.seed()
            before = world.everything()
            state = self.run(limiter.admit(asked, commit))
        if any(caps[1:]) and caps.purse not in self.model.purses:
            assert state.status == "unseeded"
            assert world.everything() == before
            self.seed_purse(caps.purse)
            before = world.everything()
            state = self.run(limiter.admit(asked, commit))
        now, today = self.clock(state), self.today(state)
        seen = self.learned(asked)
        if commit:
            self.model.credits, self.model.credits_version = seen.credits, seen.credits_version
            self.model.terms = seen.terms
        seen.subjects[subject].look(now)
        binding, wait, hold = seen.decide(asked, now, today)
        assert (state.binding, state.retry_after_ms, state.hold) == (binding, wait, hold)
        assert state.status == ("refused" if binding else "ok")
        if commit and not binding:
            self.model.take(asked, now, hold, today)
            for told in state.spend:  # the promise itself
                assert not told.cap or told.spent + told.held <= told.cap or hold == 0
            self.exact(subject, now, limits.rpm)
        if commit:
            self.agree(state, subject, limits.rpm)
        else:
            assert world.everything() == before

    @rule(subject=st.sampled_from(["k1", "k2"]), full=AMOUNTS)
    def admit_more(self, subject: str, full: int) -> None:
        """So that there is something to lose."""
        roomy, caps = Limits(9, 9, 9, 9, 9, 9), Caps("p1", 200, 300)
        self.admit(subject, roomy, full, 0, stretch=False, commit=True, caps=caps)

    def learned(self, asked: limiter.Ask) -> Model:
        """The model as the snapshot's newer facts would make it."""
        newer = asked.credits_version > self.model.credits_version
        return replace(
            self.model,
            terms=max(asked.terms_version, self.model.terms),
            credits=asked.credits if newer else self.model.credits,
            credits_version=max(asked.credits_version, self.model.credits_version),
        )

    def exact(self, subject: str, now: int, rpm: int) -> None:
        """The promise itself, from history alone: at most N in any 60 s."""
        if rpm:
            self.admitted[subject].append(now)
            assert sum(at > now - MINUTE for at in self.admitted[subject]) <= rpm

    @precondition(something_runs)
    @rule(data=st.data())
    def admit_again(self, data: st.DataObject) -> None:
        request = self.pick(data)
        before = world.everything()
        state = self.run(limiter.admit(request.ask._replace(full=1, terms_version=0)))
        assert (state.status, state.hold) == ("ok", request.hold)
        self.agree(state, request.ask.subject, request.ask.limits.rpm)
        assert world.everything() == before

    def pick(self, data: st.DataObject) -> Request:
        return data.draw(st.sampled_from(list(self.model.open.values())))

    # -- While it runs ---------------------------------------------------------------------------

    @precondition(something_runs)
    @rule(data=st.data(), step=AMOUNTS, stretch=st.booleans())
    def extend(self, data: st.DataObject, step: int, stretch: bool) -> None:
        request = self.pick(data)
        had, available = request.hold, self.model.balance() - self.model.held
        granted = 0
        if self.model.credits is None:
            expected = limiter.Extension(0, had, 0, status="cold")
        elif any(request.ask.caps[1:]) and request.ask.caps.purse not in self.model.purses:
            expected = limiter.Extension(0, had, 0, status="unseeded")
        else:
            most = self.model.extensible(request, available)
            granted = max(min(step, most), 0)
            granted = granted if stretch or granted == step else 0
            self.model.hold_more(request, granted)
            expected = limiter.Extension(
                granted, request.hold, available - granted, "purse" if most < available else ""
            )

        def extension() -> limiter.Extension:
            call = limiter.extend(request.ask, hold=had, step=step, stretch=stretch)
            return self.run(call)

        assert extension() == expected
        before = world.everything()
        assert extension() == expected  # asked again, because the answer was lost
        assert world.everything() == before

    @precondition(something_runs)
    @rule(data=st.data(), cost=AMOUNTS)
    def beat(self, data: st.DataObject, cost: int) -> None:
        request = self.pick(data)
        name, earliest = request.ask.request_id, self.now()
        assert self.run(limiter.beat(request.ask, cost=cost, draft="{}"))
        score = redis.sync().zscore(keys.open_requests(keys.shard(ALICE)), name)
        deadline = int(score) + self.past // 1000
        lease = request.ask.lease_ms
        assert earliest // 1000 + lease <= deadline <= self.now() // 1000 + lease
        request.cost, request.deadline = cost, deadline
        self.model.subjects[request.ask.subject].leases[name] = deadline

    @rule(month=st.booleans())
    def midnight(self, month: bool) -> None:
        """The calendar turns a page; what runs goes on. Early in a month yesterday was another."""
        month = month or datetime.now(UTC).day <= 7
        world.midnight(month)
        self.days += 1
        self.months += month

    @rule(seconds=SPANS)
    def time_passes(self, seconds: int) -> None:
        world.advance(seconds)
        self.past += seconds * SECOND

    # -- The end ---------------------------------------------------------------------------------

    @precondition(something_runs)
    @rule(data=st.data(), cost=AMOUNTS, giveback=st.booleans())
    def settle(self, data: st.DataObject, cost: int, giveback: bool) -> None:
        request = self.pick(data)
        cost = 0 if giveback else cost
        state = self.run(limiter.settle(request.ask, cost=cost, event=EVENT, giveback=giveback))
        now = self.clock(state)
        self.model.subjects[request.ask.subject].look(now)
        self.model.end(request, giveback)
        self.model.charge(cost)
        self.spent(request, cost, state)
        if giveback and request.ask.limits.rpm:
            admitted = self.admitted[request.ask.subject]
            admitted[:] = [*self.model.subjects[request.ask.subject].log.values()]
        assert state.status == "settled"
        self.agree(state, request.ask.subject, request.ask.limits.rpm)
        self.ended[request.ask.request_id] = (request.ask, now + MARKER)

    def spent(self, request: Request, cost: int, state: State) -> None:
        today = self.today(state)
        self.model.spend(request, cost, today)
        began = today if request.today == UNKNOWN else request.today
        self.costs.append((request.ask.caps.purse, began.day, began.month, cost))

    def known(self) -> list[limiter.Ask]:
        now = self.now()
        return [asked for asked, until in self.ended.values() if now < until]

    @precondition(lambda self: self.known())
    @rule(data=st.data(), cost=AMOUNTS, giveback=st.booleans())
    def repeat_after_the_end(self, data: st.DataObject, cost: int, giveback: bool) -> None:
        asked = data.draw(st.sampled_from(self.known()))
        before = world.everything()
        state = self.run(limiter.settle(asked, cost=cost, event=EVENT, giveback=giveback))
        assert state.status == "already"
        self.agree(state, asked.subject, asked.limits.rpm)
        assert self.run(limiter.admit(asked)).binding == "settled"
        assert not self.run(limiter.beat(asked, cost=cost, draft="{}"))
        assert self.run(limiter.extend(asked, hold=0, step=1)).granted == 0
        assert world.everything() == before

    @precondition(something_runs)
    @rule()
    def reap(self) -> None:
        earliest = self.now() // 1000
        found = {dead.request_id: dead for dead in expired(100)}
        latest = self.now() // 1000
        must = {n for n, request in self.model.open.items() if request.deadline <= earliest}
        may = {n for n, request in self.model.open.items() if request.deadline <= latest}
        assert must <= set(found) <= may
        for name, dead in found.items():
            request = self.model.open[name]
            assert (dead.cost, dead.hold) == (request.cost, request.hold)
            state = limiter.reap_sync(dead, cost=dead.cost, event=EVENT)
            self.model.subjects[dead.subject].look(self.clock(state))
            self.model.end(request, giveback=False)
            self.model.charge(dead.cost)
            self.spent(request, dead.cost, state)
            assert state.status == "settled"
            self.agree(state, dead.subject, 0)
            self.ended[name] = (request.ask, self.clock(state) + 720 * MINUTE)

    @precondition(something_runs)
    @rule(data=st.data())
    def reap_the_living(self, data: st.DataObject) -> None:
        request = self.pick(data)
        asked = request.ask
        dead = limiter.Expired(asked.request_id, ALICE, asked.subject, request.hold, 0, b"")
        assume(request.deadline > self.now() // 1000 + 10_000)
        before = world.everything()
        assert limiter.reap_sync(dead, cost=1, event=EVENT).status == "alive"
        assert world.everything() == before

    # -- The control plane -----------------------------------------------------------------------

    @rule(amount=st.integers(-50, 200), told=st.booleans())
    def change_credits(self, amount: int, told: bool) -> None:
        """A top-up, a refund; where the message is lost the next snapshot brings it."""
        self.credits += amount
        self.credits_version += 1
        if told:
            news = limiter.publish_credits(ALICE, self.credits, self.credits_version)
            assert news == is_seeded(self)
            if news:
                self.model.credits, self.model.credits_version = self.credits, self.credits_version
        assert not limiter.publish_credits(ALICE, amount, self.model.credits_version)

    @rule(told=st.booleans(), limits=PLANS)
    def change_terms(self, told: bool, limits: Limits) -> None:
        self.terms += 1
        if told:
            assert limiter.publish_terms(ALICE, self.terms)
            self.model.terms = self.terms
        before = world.everything()
        assert not limiter.publish_terms(ALICE, self.model.terms)
        if self.model.terms:
            outdated = ask(limits=limits, terms_version=self.model.terms - 1)
            expected = "stale" if is_seeded(self) else "cold"
            assert self.run(limiter.admit(outdated)).status == expected
        assert world.everything() == before

    @precondition(lambda self: bool(world.events()))
    @rule(count=st.integers(1, 3))
    def consume(self, count: int) -> None:
        """The usage pipeline: events into the database, then out of the stream."""
        stream = keys.usage(keys.shard(ALICE))
        for name, fields in redis.sync().xrange(stream, count=count):
            self.settled += int(fields[b"cost"])
            redis.sync().xdel(stream, name)

    @precondition(lambda self: not is_seeded(self))
    @rule(seen=st.integers(0, 3))
    def seed(self, seen: int = 0) -> None:
        """As billing does: it has seen the first few events of the stream, and not the rest."""
        entries = redis.sync().xrange(keys.usage(keys.shard(ALICE)), count=seen) if seen else []
        charged = self.settled + sum(int(fields[b"cost"]) for _, fields in entries)
        done = world.seed(
            credits=self.credits,
            credits_version=self.credits_version,
            terms_version=self.terms,
            charged=charged,
            last_event_id=entries[-1][0].decode() if entries else "0-0",
        )
        assert done
        self.model.credits, self.model.credits_version = self.credits, self.credits_version
        self.model.terms = max(self.terms, self.model.terms)
        self.model.charged = self.settled + sum(cost for _, cost, _ in world.events())
        self.model.held = sum(request.hold for request in self.model.open.values())
        assert not world.seed(credits=1, credits_version=99)

    # -- Disasters -------------------------------------------------------------------------------

    def forget_the_money(self) -> None:
        self.model.credits, self.model.credits_version = None, 0
        self.model.charged = self.model.held = self.model.terms = 0

    def seed_purse(self, purse: str) -> None:
        """As the gateway does, from the books and all of the stream."""
        today = self.today(State("ok", now=self.now() - self.past))
        mine = [(day, month, cost) for p, day, month, cost in self.costs if p == purse]
        day = sum(cost for began, _, cost in mine if began == today.day)
        month = sum(cost for _, began, cost in mine if began == today.month)
        last = redis.sync().xrevrange(keys.usage(keys.shard(ALICE)), count=1)
        seen = last[0][0].decode() if last else "0-0"
        life = sum(cost for _, _, cost in mine)
        assert world.seed_purse(purse, day, month, life, last_event_id=seen)
        assert not world.seed_purse(purse, 99, 99, 99)
        self.purse_epochs += 1
        periods = Period(today.day, day), Period(today.month, month), Period(0, life)
        made = self.model.purses[purse] = Purse(self.purse_epochs, *periods)
        for request in self.model.open.values():
            if request.ask.caps.purse == purse:
                request.today, request.purse_epoch = request.admitted, made.epoch
                for period, began in made.periods(request.today):
                    if period.began == began:
                        period.add(began, 0, request.hold)

    @precondition(lambda self: self.model.purses)
    @rule()
    def lose_the_purses(self) -> None:
        for purse in self.model.purses:
            redis.sync().delete(keys.spend(ALICE, purse))
        self.model.purses.clear()

    @precondition(lambda self: len(self.model.open) > 1 and is_seeded(self))
    @rule(data=st.data(), ends=st.integers(0, 2))
    def lose_the_account(self, data: st.DataObject, ends: int) -> None:
        """And with it the purses: they were counted for it as it was."""
        redis.sync().delete(keys.account(ALICE))
        self.lose_the_purses()
        self.forget_the_money()
        for _ in range(ends):
            self.settle(data, data.draw(AMOUNTS), giveback=False)

    @precondition(lambda self: len(self.model.open) > 2)
    @rule(costs=st.lists(AMOUNTS, max_size=2))
    def lose_everything(self, costs: list[int]) -> None:
        redis.sync().flushall()
        self.forget_the_money()
        self.lost += [request.ask for request in self.model.open.values()]
        self.model.open.clear()
        self.model.subjects = {"k1": Subject(), "k2": Subject()}
        self.model.purses.clear()
        self.admitted = {"k1": [], "k2": []}
        self.ended.clear()
        for cost in costs:
            self.settle_what_redis_lost(cost)

    @precondition(lambda self: bool(self.lost))
    @rule(cost=AMOUNTS)
    def settle_what_redis_lost(self, cost: int) -> None:
        asked = self.lost.pop()
        assert not self.run(limiter.beat(asked, cost=cost, draft="{}"))
        state = self.run(limiter.settle(asked, cost=cost, event=EVENT))
        self.model.charge(cost)
        self.spent(Request(asked, 0, 0, {}, UNKNOWN), cost, state)
        assert state.status == "unknown"
        self.agree(state, asked.subject, asked.limits.rpm)
        self.ended[asked.request_id] = (asked, self.clock(state) + 720 * MINUTE)
        if cost and is_seeded(self):
            self.make_anew()

    def make_anew(self) -> None:
        """Only the books can tell whether it was charged before."""
        assert limiter.read_account_sync(ALICE) is None
        self.lose_the_purses()
        self.seed()

    # -- Always ----------------------------------------------------------------------------------

    @invariant()
    def the_money_adds_up(self) -> None:
        found = limiter.read_account_sync(ALICE)
        model = self.model
        if found is None or model.credits is None:
            assert (found, model.credits) == (None, None)
            return
        assert found == limiter.Account(
            model.terms, model.credits, model.credits_version, model.charged, model.held
        )
        assert found.charged == self.settled + sum(cost for _, cost, _ in world.events())
        assert found.held == sum(request.hold for request in model.open.values())

    @invariant()
    def what_a_purse_spent_is_known(self) -> None:
        for name in ("p1", "p2"):
            found = self.model.purses.get(name)
            stored = world.spent(name)
            if found is None:
                assert stored == {}
                continue
            assert stored == {
                "day.held": found.day.held,
                "day.spent": found.day.spent,
                "life.held": found.life.held,
                "life.spent": found.life.spent,
                "month.held": found.month.held,
                "month.spent": found.month.spent,
            }

    @invariant()
    def every_open_request_is_watched(self) -> None:
        watched = redis.sync().zrange(keys.open_requests(keys.shard(ALICE)), 0, -1)
        assert {name.decode() for name in watched} == set(self.model.open)


TestAdmission = Admission.TestCase
TestAdmission.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Chunks(Admission):
    """The same where a minute has more requests than fit into one string: two are too many."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = pytest.MonkeyPatch()
        world.chunks_of(self.scripts, 2)

    def teardown(self) -> None:
        super().teardown()
        self.scripts.undo()


TestChunks = Chunks.TestCase
TestChunks.settings = settings(TestAdmission.settings, max_examples=30)
