"""One seed, one run: gateways, a settlement worker and customers, and everything that goes wrong.

In the style of deterministic simulation: all processes are played in one, step by step, in the
order that the seed draws, by the product's own scripts, spool, rebuilding and settlement, on a
real Valkey and a real database. What is checked is independent of them: the vendors' meter.
"""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import connection
from django.db.models import Sum

from billing.books import ledger
from billing.books.seeding import unsettled
from billing.models import Wallet
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from hontoni import errors, redis
from ratelimits import keys, limiter
from ratelimits import rebuilding as accounts
from ratelimits.limiter import Limits
from ratelimits.purses import Caps
from tests.faults import stores
from tests.faults.clocks import LEASE, watching
from tests.faults.gateway import Gateway, Request
from tests.faults.payments import Payments
from tests.ratelimits.world import advance
from tests.world import Person

CENT = 10_000_000  # nano-dollars
STEPS = 60


def leases(subject: bytes | None) -> int:
    """How many a subject has given and not got back (ratelimits/lua/parts/subject.lua)."""
    return 0 if subject is None else int.from_bytes(subject[52:56])


@dataclass(eq=False)
class Simulator:
    """`meter`: what the vendors counted of each request whose gateway saw its end; `perhaps`: of
    those whose gateway died with them, what its heartbeats had said."""

    seed: int
    people: list[Person]
    run: Any
    price_id: int
    meter: dict[str, tuple[Person, int]] = field(default_factory=dict)
    perhaps: dict[str, list[int]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)
    in_hand: list[list[settlement.Entry]] = field(default_factory=list)
    written: int = 0  # of the batches in hand
    worker: int = 0
    payments: Payments | None = None
    minute: Counter[str] = field(default_factory=Counter)  # since the clock was moved on
    moved: int = 0  # seconds, in all
    poorer: set[int] = field(default_factory=set)  # accounts whose credits a restore took

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.limits = Limits(rpm=self.chance.choice((0, 9)), daily=self.chance.choice((0, 9)))
        self.capped = self.chance.random() < 0.4
        self.gateways = [self._gateway(), self._gateway()]
        self.before = [stores.save_valkey()]  # what Valkey held a few steps ago, and now
        self.reaper, self.steady = watching()
        self.copy: Any = None  # of the database
        self.paid_since: set[int] = set()  # credited since the copy

    def _gateway(self) -> Gateway:
        made = Gateway(self.run, self.price_id, self.limits)
        made.awake()
        made.watch()
        made.asleep()
        return made

    # -- What happens ----------------------------------------------------------------------------

    def play(self) -> None:
        """The whole run, and then a quiet end."""
        for person in self.people:
            self._credit(person, self.chance.randrange(2, 30) * CENT)
        deeds: list[tuple[int, Callable[[], None]]] = [
            (26, self.ask), (18, self.end), (5, self.extend), (5, self.beat), (3, self.pay),
            (6, self.watch), (8, self.read), (8, self.write), (8, self.acknowledge),
            (2, self.kill_worker), (2, self.kill_gateway), (2, self.repeat), (2, self.crash),
            (1, self.fail_over), (1, self.wipe), (1, self.copy_database), (1, self.go_back),
            (2, self.again), (2, self.reap), (1, self.move_clock), (2, self.reorder),
        ]  # fmt: skip
        if self.payments is not None:
            deeds += [(2, self.buy), (2, self.deliver)]
        for _ in range(STEPS):
            (deed,) = self.chance.choices([d for _, d in deeds], [w for w, _ in deeds])
            self.story.append(deed.__name__)
            deed()
            self.before = [*self.before[-5:], stores.save_valkey()]
        self.heal()

    def _at(self) -> Gateway:
        return self.chance.choice(self.gateways)

    def _credit(self, person: Person, amount: int) -> None:
        self.paid_since.add(person.user.pk)
        ledger.post(
            key=f"sim:{self.seed}:{len(self.story)}:{person.user.pk}:{self.chance.random()}",
            kind="adjustment",
            user_id=person.user.pk,
            amount=amount,
            reason="simulated",
            actor="tests",
        )

    def _uncount(self, person: Person, given_back: bool) -> None:
        for counted in (self.counted, self.minute):
            counted[person.key.subject] -= given_back

    def pay(self) -> None:
        self._credit(self.chance.choice(self.people), CENT)

    def ask(self) -> None:
        gateway, person = self._at(), self.chance.choice(self.people)
        caps = Caps(person.key.purse, 12 * CENT, 12 * CENT, 12 * CENT if self.capped else 0)
        gateway.awake()
        others = [each for each in self.gateways if each is not gateway]
        full = self.chance.randrange(1, 3 * CENT)
        said = gateway.admit(person, others, full, caps if self.capped else Caps())
        gateway.asleep()
        self.story[-1] += f" {person.user.pk} {said}"
        if said == "ok":
            self.counted[person.key.subject] += 1
            self.minute[person.key.subject] += 1
            self.within_limits(person)

    def within_limits(self, person: Person) -> None:
        """However often the stores were lost, no window took more than its limit."""
        for limit, counted in ((self.limits.rpm, self.minute), (self.limits.daily, self.counted)):
            assert not limit or counted[person.key.subject] <= limit

    def _pick(self) -> tuple[Gateway, Request] | None:
        found = [(gateway, each) for gateway in self.gateways for each in gateway.live]
        return self.chance.choice(found) if found else None

    def end(self) -> None:
        if (found := self._pick()) is None:
            return
        gateway, request = found
        request.given_back = self.chance.random() < 0.2
        request.cost = 0 if request.given_back else self.chance.randrange(0, request.hold + 1)
        self.meter[request.id] = request.person, request.cost
        gateway.live.remove(request)
        self._uncount(request.person, request.given_back)
        self._settle(gateway, request)

    def _settle(self, gateway: Gateway, request: Request) -> None:
        gateway.awake()
        if request in gateway.unsettled:
            gateway.unsettled.remove(request)
        if not gateway.end(request, chance=self.chance):
            gateway.unsettled.append(request)
        gateway.asleep()

    def again(self) -> None:
        """What was postponed is tried again."""
        for gateway in self.gateways:
            for request in list(gateway.unsettled):
                self._settle(gateway, request)

    def extend(self) -> None:
        if (found := self._pick()) is None:
            return
        gateway, request = found
        gateway.awake()
        step = self.chance.randrange(1, CENT)
        try:
            more = self.run(limiter.extend(request.ask, hold=request.hold, step=step))
        except errors.Unavailable:
            gateway.asleep()
            return
        if more.status == "cold":
            others = [each for each in self.gateways if each is not gateway]
            gateway.rebuild(request.person, others)
        elif more.status == "ok":
            request.hold = max(more.hold, request.hold)
        gateway.asleep()

    def beat(self) -> None:
        if (found := self._pick()) is None:
            return
        self._renew(*found)

    def _renew(self, gateway: Gateway, request: Request) -> None:
        gateway.awake()
        request.reported = self.chance.randrange(0, request.hold + 1)
        draft = request.event(self.price_id)
        self.perhaps.setdefault(request.id, [0]).append(request.reported)
        with suppress(errors.Unavailable):
            self.run(limiter.beat(request.ask, cost=request.reported, draft=draft))
        gateway.asleep()

    def watch(self) -> None:
        gateway = self._at()
        gateway.awake()
        gateway.watch()
        gateway.asleep()

    def reap(self) -> None:
        """A third of a lease passes, in which all who live say so, and the dead are looked for."""
        self.reaper.reap()
        for gateway in self.gateways:
            for request in (*gateway.live, *gateway.unsettled):
                self._renew(gateway, request)
        self.steady.now += LEASE / 3
        self.reaper.reap()

    def buy(self) -> None:
        assert self.payments is not None
        self.payments.pay(self.chance.choice(self.people))

    def deliver(self) -> None:
        assert self.payments is not None
        self.paid_since |= {person.user.pk for person in self.people}
        self.payments.deliver()

    # -- The worker ------------------------------------------------------------------------------

    def read(self) -> None:
        found = settlement.read(f"w{self.worker}", settlement.ALL)
        by_shard = groupby(sorted(found, key=attrgetter("shard")), attrgetter("shard"))
        self.in_hand += [list(entries) for _, entries in by_shard]

    def write(self) -> None:
        if self.written < len(self.in_hand):
            settlement.record(self.in_hand[self.written])
            self.written += 1

    def acknowledge(self) -> None:
        if self.written:
            settlement._acknowledge(self.in_hand.pop(0))
            self.written -= 1

    def kill_worker(self) -> None:
        """Another one takes over what it had in hand."""
        self.in_hand, self.written = [], 0
        self.worker += 1
        settlement.take_over(f"w{self.worker}")

    def repeat(self) -> None:
        """A delivery comes twice: an event stands in the stream again."""
        person = self.chance.choice(self.people)
        stream = keys.usage(keys.shard(person.user.pk))
        for _, fields in redis.sync().xrange(stream, count=1):
            redis.sync().xadd(stream, fields)

    def reorder(self) -> None:
        """What was read and is not written yet, comes in another order."""
        waiting = self.in_hand[self.written :]
        self.chance.shuffle(waiting)
        self.in_hand[self.written :] = waiting

    # -- Disasters -------------------------------------------------------------------------------

    def kill_gateway(self) -> None:
        """kill -9, and another one starts."""
        dead = self.chance.choice(self.gateways)
        self.gateways.remove(dead)
        dead.die()
        for request in dead.live:
            self.perhaps.setdefault(request.id, [0])
            self._uncount(request.person, True)  # if Valkey has lost it, nobody knows
        self.gateways.append(self._gateway())

    def crash(self) -> None:
        """Valkey comes back without the last writes; how many is chance."""
        stores.restart_valkey(self.chance.choice(self.before))

    def fail_over(self) -> None:
        stores.promote_valkey()

    def wipe(self) -> None:
        stores.wipe_valkey()

    def move_clock(self) -> None:
        """Valkey's clock jumps: what it has noted lies so much further back, or ahead."""
        seconds = self.chance.choice((7_200, 90, -3_600))
        if abs(self.moved + seconds) < 36_000:  # no day ends
            self.moved += seconds
            advance(seconds)
            self.before = []  # of another clock
            if seconds > 60:
                self.minute.clear()

    def copy_database(self) -> None:
        if connection.vendor == "sqlite":
            self.copy, self.paid_since = stores.save_database(), set()

    def go_back(self) -> None:
        """The database is restored to the moment of the copy."""
        if self.copy is not None:
            stores.restore_database(self.copy)
            self.poorer |= self.paid_since
            self.in_hand, self.written = [], 0  # its connections were closed
            settlement.take_over(f"w{self.worker}")

    # -- The end ---------------------------------------------------------------------------------

    def heal(self) -> None:
        """Everybody lives, everything ends, and is written down."""
        for gateway in self.gateways:
            for request in list(gateway.live):
                request.cost = self.chance.randrange(0, request.hold + 1)
                self.meter[request.id] = request.person, request.cost
                gateway.live.remove(request)
                gateway.unsettled.append(request)
        for _ in range(100):
            self.again()
            if not any(gateway.unsettled for gateway in self.gateways):
                break
        for _ in range(2):
            for gateway in self.gateways:
                gateway.awake()
                gateway.watch()
                gateway.asleep()
        if self.payments is not None:
            self.payments.heal()
        self._write_all()
        self._let_leases_end()
        self.reaper.reap()
        self.steady.now += LEASE
        self.reaper.reap()
        self._write_all()
        self.check()

    def _write_all(self) -> None:
        self.in_hand, self.written = [], 0
        for _ in range(3):
            settlement.take_over("last")
            while settlement.drain("last"):
                pass

    def _let_leases_end(self) -> None:
        client = redis.sync()
        for name in client.scan_iter(count=10_000):
            if name.endswith(b"}:running"):
                for member in client.zrange(name, 0, -1):
                    client.zadd(name, {member: 1})

    def check(self) -> None:
        """The vendors' meter = receipts = ledger = counters; nothing is held, nothing is below
        zero."""
        ids = [person.user.pk for person in self.people]
        receipts = {
            f"req_{pk.hex}": cost
            for pk, cost in UsageEvent.objects.filter(user_id__in=ids).values_list("pk", "cost")
        }
        for name, (person, cost) in self.meter.items():
            told = f"{name} of {person.user.pk} cost {cost}, its receipt {receipts.get(name)}"
            assert receipts.get(name) == cost, told
        for name in receipts.keys() - self.meter.keys():
            assert receipts[name] in self.perhaps.get(name, ()), f"{name} cost {receipts[name]}"
        for person in self.people:
            self._check(person)
            if self.payments is not None:
                self.payments.check(person)

    def _check(self, person: Person) -> None:
        gateway, user = self.gateways[0], person.user.pk
        gateway.awake()
        if limiter.read_account_sync(user) is None:
            gateway.rebuild(person, self.gateways[1:])
        wallet, account = Wallet.objects.get(pk=user), limiter.read_account_sync(user)
        spent = UsageEvent.objects.filter(user_id=user).aggregate(sum=Sum("cost"))["sum"] or 0
        assert account is not None
        assert unsettled(user, settlement.recorded)[0] == 0
        money = (wallet.settled_total, spent, account.charged)
        assert len(set(money)) == 1, f"account {user}: settled, receipts, Valkey are {money}"
        assert (account.credits, account.held) == (wallet.credits_total, 0)
        assert wallet.balance >= 0 or user in self.poorer
        assert accounts.open_requests(user) == []
        _, subject, _, _, purse = keys.of(user, person.key.subject, person.key.purse)
        assert leases(redis.sync().get(subject)) == 0
        if self.capped and redis.sync().hget(purse, "of") is not None:
            held = redis.sync().hmget(purse, "day.held", "life.held", "life.spent")
            seeded = redis.sync().hget(keys.account(user), "seeded")
            if redis.sync().hget(purse, "of") == seeded:
                assert [int(each) for each in held] == [0, 0, spent]
        gateway.asleep()

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.spool.close()
