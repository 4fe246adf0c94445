"""The free rider tries everything, and gets nothing for less than it costs.

`make test` rides 2,000 shapes, `make test-money` 50,000. A red run prints the cheapest breach of
each kind, made as plain as it gets, and how to ride it again:

    FREE_RIDER_SEED=17 ... the same run · FREE_RIDER='{"model": ...}' ... the one shape
"""

import os
import random
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings, target

from billing.books import ledger
from gateway.plane import watching
from gateway.reconciliation.invariants import problems
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.money import law, world
from tests.money.law import Breach
from tests.money.rider import Ride, Rider, simplest
from tests.money.shapes import Shape, parsed
from tests.money.strategies import CUT, PRICED, shapes
from tests.world import Person

pytestmark = [
    pytest.mark.money,
    pytest.mark.any_database,
    pytest.mark.timeout(7_200),
    pytest.mark.outside_the_law("the rider holds every ride to it by itself"),
]
EXAMPLES = int(os.environ.get("FREE_RIDER_EXAMPLES", "2000"))
SEED = int(os.environ.get("FREE_RIDER_SEED", "0")) or random.randrange(1, 2**32)
_BATCH = 100  # rides between two looks at the books


@pytest.fixture
def rider(
    gateway: Gateway, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rider]:
    """Alice is rich, bob is poor; each vendor has two credentials; leaving is seen at once."""
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.001)
    world.unlimited()
    for vendor in ("openai", "anthropic", "google"):
        for label in ("first", "second"):
            credential(gateway.vendors, vendor, vendor, label=label)
    riding = Rider(gateway, fund(alice, "100000"), bob)
    yield riding
    riding.hang_up()


class Hunt:
    """The rides of one run, and the cheapest breach of each kind."""

    def __init__(self, rider: Rider) -> None:
        self.rider = rider
        self.found: dict[str, tuple[Breach, Shape]] = {}
        self.count: dict[str, int] = {}
        self.paid = self.given = 0
        self.met: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()

    def ride(self, shape: Shape) -> float:
        """Returns how much of what was due was charged, 1 for a lawful ride."""
        self._keep_books()
        ride = self.rider.ride(shape)
        self.paid += bool(ride.events and ride.events[0].cost)
        if ride.status >= 400:
            self.answers[f"{ride.status} {ride.answer[:160]!r}"] += 1
        self.met.update(_met(ride))
        self.given += sum(
            law.gift(self.rider.rows, bill, event) for bill in ride.bills for event in ride.events
        )
        breach = self.rider.breach(ride)
        if breach is None:
            return 1.0
        self.count[breach.why] = self.count.get(breach.why, 0) + 1
        if breach.why not in self.found or breach.ratio < self.found[breach.why][0].ratio:
            self.found[breach.why] = (breach, shape)
        return min(1.0, breach.ratio)

    def _keep_books(self) -> None:
        """Write what was used into the books now and then, and give the poor a little. That the
        books balance is proven when all is ridden."""
        if self.rider.rides % _BATCH == 0:
            while settlement.drain("tests"):
                pass
            assert ledger.balance(self.rider.poor.user.pk) >= 0, "the poor one has overdrawn"
            fund(self.rider.poor, "0.05")

    def told(self) -> str:
        lines = [f"The free rider paid too little ({self.count}); seed {SEED}"]
        for found, shape in sorted(self.found.values(), key=lambda each: each[0].ratio):
            plain, again = simplest(self.rider, shape, found.why)
            lines.append(f"\n{found.ratio:.4f} of what was due: FREE_RIDER='{plain.told()}'")
            lines.append(str(again) if again else f"not again, but once: {found}")
        return "\n".join(lines)


def _met(ride: Ride) -> Iterator[str]:
    """What of all that costs was really billed, so that a run that proves nothing is noticed."""
    for event in ride.events:
        yield event.details.get("rule", "")
        yield "retried" if len(event.details.get("attempts", ())) > 1 else "at once"
    for bill in ride.bills:
        yield from bill.calls
        yield from (line.kind for line in bill.lines)
        yield from (bill.work.tier, bill.work.geo, bill.work.speed, ride.shape.media)


_COSTS = {
    *("stop", "drained", "given", "retried", "message", "compaction", "advisor_message"),
    *("web_search_requests", "code_execution_containers", "web_search_call", "file_search_call"),
    *("code_interpreter_call", "priority", "flex", "us", "pdf", "packed", "fake"),
}


def test_nothing_is_had_for_less_than_it_costs(rider: Rider) -> None:
    hunt = Hunt(rider)

    @hypothesis.seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(shapes)
    def ride(shape: Shape) -> None:
        target(1.0 - hunt.ride(shape), label="free")

    one = os.environ.get("FREE_RIDER")
    if one:
        hunt.ride(parsed(one))
    else:
        for shape in (*PRICED, *CUT):  # so that chance does not decide whether a run has met them
            hunt.ride(shape)
        ride()
    assert not hunt.found, hunt.told()
    assert hunt.paid >= hunt.rider.rides // 3, f"most rides were refused: {hunt.answers}"
    if not one and EXAMPLES >= 1_000:
        assert hunt.met.keys() >= _COSTS, f"never met: {_COSTS - hunt.met.keys()}"
    assert hunt.given <= 2 * 2 * law.daily_bound(), "two accounts, and a midnight"
    rider.gateway.books()
    charged = UsageEvent.objects.filter(user=rider.poor.user).values_list("cost", flat=True)
    assert ledger.balance(rider.poor.user.pk) >= 0
    assert sum(charged) <= 50_000_000 * (1 + hunt.rider.rides // _BATCH)
    assert problems() == []
