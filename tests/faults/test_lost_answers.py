"""What a gateway says late. It never heard that a request was settled, and asks again when Valkey
has forgotten the request: it is charged once. Or it announces a request just when its account is
made anew: what that holds nobody else can spend."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_django import Settings

from billing.books import ledger, seeding
from gateway.plane import admission
from gateway.stores.models import Node
from gateway.stores.rebuilding import rebuild
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from hontoni import redis
from hontoni.errors import Unavailable
from ratelimits import limiter, rebuilding
from ratelimits.limiter import Limits
from ratelimits.purses import Caps
from tests.faults import gateway as simulated
from tests.faults import stores
from tests.faults.test_simulated_faults import price_id as price_id
from tests.faults.test_simulated_faults import run as run
from tests.gateway.plane.test_faults import at_rest
from tests.gateway_server import Gateway, fund
from tests.ratelimits.world import advance
from tests.waiting import until
from tests.world import Person

TWO_HOURS = 7_200
CENT = 10_000_000  # nano-dollars


def charged(person: Person) -> tuple[int, int]:
    """By Valkey and by the books, once the account is made anew if that is due."""
    seeding.seed_account(person.user.pk, recorded=settlement.recorded)
    found = limiter.read_account_sync(person.user.pk)
    assert found is not None
    return found.charged, ledger.wallet(person.user.pk).settled_total


@dataclass
class Line:
    """Between a gateway and Valkey. What is said is heard there; `answers`, here or not."""

    good: bool = False
    answers: list[str] = field(default_factory=list)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    settle, found = limiter.settle, Line()

    async def lost(*args: Any, **options: Any) -> Any:
        state = await settle(*args, **options)
        found.answers.append(state.status)
        if not found.good:
            raise Unavailable("The connection was lost.")
        return state

    monkeypatch.setattr(limiter, "settle", lost)
    return found


@pytest.mark.any_database
def test_who_asks_again_when_it_is_forgotten_is_not_charged_twice(
    gateway: Gateway, alice: Person, line: Line
) -> None:
    fund(alice, "1")
    assert gateway.chat(alice).status_code == 200
    assert admission.unsettled() == 1
    (event,) = gateway.books()
    advance(TWO_HOURS)
    until(lambda: "unknown" in line.answers, "it was not asked again")
    line.good = True
    until(lambda: admission.unsettled() == 0, "its answer was not heard")
    assert gateway.chat(alice).status_code == 200
    until(lambda: at_rest(alice))
    costs = [each.cost for each in gateway.books()]
    assert costs[0] == event.cost > 0 and len(costs) == 2
    assert charged(alice) == (sum(costs), sum(costs))


@pytest.fixture
def two(
    run: Any, price_id: int, alice: Person, settings: Settings, tmp_path: Any
) -> Iterator[list[simulated.Gateway]]:
    """Two gateways, and alice with a cent's request that ended at the first, which did not hear
    that it was settled. The books have it."""
    settings.SPOOL_DIR = str(tmp_path)
    redis.sync().flushall()
    fund(alice, "1")
    found = [simulated.Gateway(run, price_id, Limits()) for _ in range(2)]
    for each in found:
        each.awake()
        each.watch()
        each.asleep()
    first, second = found
    first.awake()
    assert first.admit(alice, [second], CENT, Caps()) == "ok"
    (request,) = first.live
    first.live, first.unsettled, request.cost = [], [request], CENT
    run(limiter.settle(request.ask, cost=CENT, event=request.event(price_id)))
    first.asleep()
    settlement.drain("tests")
    yield found
    for each in found:
        each.spool.close()


@pytest.mark.any_database
def test_nor_if_its_gateway_slept_through_the_loss_of_valkey(
    two: list[simulated.Gateway], alice: Person, run: Any
) -> None:
    """Nobody waits for it: its account is there again when it says that the request is live."""
    sleeper, other = two
    redis.sync().flushall()
    Node.objects.filter(pk=sleeper.id).delete()  # as of one that was silent for long
    other.awake()
    assert other.admit(alice, [], CENT, Caps()) == "ok"
    assert charged(alice) == (CENT, CENT)
    other.asleep()
    sleeper.awake()
    sleeper.watch()
    (request,) = sleeper.unsettled
    run(limiter.settle(request.ask, cost=CENT, event=request.event(sleeper.price_id)))
    settlement.drain("tests")
    assert charged(alice) == (CENT, CENT)
    assert UsageEvent.objects.count() == 1


@pytest.mark.any_database
def test_nor_if_it_asks_while_the_account_is_made_anew(
    two: list[simulated.Gateway], alice: Person, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the books were read, and before Valkey was told."""
    sleeper, _ = two
    (request,) = sleeper.unsettled
    seed = rebuilding.seed_sync
    advance(TWO_HOURS)

    def seed_late(*args: Any, **options: Any) -> bool:
        monkeypatch.setattr(rebuilding, "seed_sync", seed)
        run(limiter.settle(request.ask, cost=CENT, event=request.event(sleeper.price_id)))
        return seed(*args, **options)

    rebuilding.forget_sync([alice.user.pk])
    monkeypatch.setattr(rebuilding, "seed_sync", seed_late)
    seeding.seed_account(alice.user.pk, recorded=settlement.recorded)
    settlement.drain("tests")
    assert charged(alice) == (CENT, CENT)


def live(two: list[simulated.Gateway], alice: Person, *, hold: int) -> simulated.Request:
    """A request that runs at the second gateway."""
    _, other = two
    other.awake()
    assert other.admit(alice, [], hold, Caps()) == "ok"
    other.asleep()
    return other.live[0]


@pytest.mark.any_database
@pytest.mark.parametrize("wiped", [False, True])
def test_what_is_announced_while_the_account_is_made_anew_is_held(
    two: list[simulated.Gateway], alice: Person, monkeypatch: pytest.MonkeyPatch, wiped: bool
) -> None:
    """After the open requests were read, and before Valkey was told; and `wiped` besides: what was
    read is not even of this life."""
    sleeper, other = two
    request = live(two, alice, hold=40 * CENT)
    stores.wipe_valkey()
    Node.objects.filter(pk=other.id).delete()  # as of one that was silent for long
    sleeper.awake()
    sleeper.unsettled = []
    sleeper.watch()
    sleeper.asleep()
    other.awake()
    seed = rebuilding.seed_sync

    def seed_late(*args: Any, **options: Any) -> bool:
        monkeypatch.setattr(rebuilding, "seed_sync", seed)
        if wiped:
            stores.wipe_valkey()
            stores.promote_valkey()
        else:
            other.announce(request)
        return seed(*args, **options)

    monkeypatch.setattr(rebuilding, "seed_sync", seed_late)
    assert not rebuild(alice.user.pk)
    assert limiter.read_account_sync(alice.user.pk) is None
    other.watch()
    other.asleep()
    sleeper.awake()
    assert sleeper.admit(alice, [other], 70 * CENT, Caps()) == "hold"
    found = limiter.read_account_sync(alice.user.pk)
    assert found is not None and found.held == 40 * CENT
    sleeper.asleep()
