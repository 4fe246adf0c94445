"""The simulation reproduces the machine it was fed from before anybody believes it beyond."""

import pytest

from bench import simulate
from bench.simulation import Clock, Machine, Process

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize("way", ["bare", "product"])
def test_the_measured_machine_is_reproduced(way: str) -> None:
    found = [row for row in simulate.reproduced() if row[0] == way]
    assert [clients for _, clients, _, _ in found] == [1, 8, 64]
    for _, clients, measured, simulated in found:
        assert simulated == pytest.approx(measured, rel=0.15), f"{way} with {clients} clients"


def test_a_process_does_one_thing_at_a_time_and_a_core_serves_one_process() -> None:
    clock, done = Clock(), []
    machine = Machine(clock, cores=1)
    one, two = Process(machine), Process(machine)
    for process, name in ((one, "a"), (one, "b"), (two, "c")):
        process.do(1.0, lambda name=name: done.append((name, clock.now)))  # type: ignore[misc]
    clock.run(10.0)
    assert done == [("a", 1.0), ("c", 2.0), ("b", 3.0)]
    assert (one.busy, two.busy) == (2.0, 1.0)


@pytest.mark.parametrize("rate", [100, 10_000])
def test_what_is_planned_for_keeps_up(rate: int) -> None:
    """No queue grows: at the end nothing waits, and what is added stays a few hops and steps."""
    made = simulate.plan(rate)
    shown = simulate.Cluster(made).run(min(rate, 3_000))
    assert len(shown.added) == min(rate, 3_000)
    assert not any(process.queue for process in (*shown.gateways, *shown.settlements))
    assert shown.percentile_ms(0.99) < 10


def test_ten_times_the_rate_is_ten_times_the_rows() -> None:
    small, large = simulate.plan(1_000), simulate.plan(10_000)
    assert large.rows_a_day == 10 * small.rows_a_day == 10 * 86_400_000
    assert large.gateways > small.gateways
