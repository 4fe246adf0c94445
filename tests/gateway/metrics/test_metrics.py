"""/metrics: what was asked, answered and charged, to nobody but who may know."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pytest_django.fixtures import Settings

from gateway.metrics import snapshots
from gateway.metrics.snapshots import Folder, Live
from gateway.plane import counts
from gateway.plane.counts import Counts
from gateway.tasks import say_alive
from hontoni import health
from hontoni.money import dollars
from sandbox.vendors.faults import Fault
from tests.gateway_server import Gateway, fund
from tests.world import Person

OPEN_METRICS = {"Accept": "application/openmetrics-text"}
pytestmark = pytest.mark.any_database


@pytest.fixture
def metered(gateway: Gateway, settings: Settings) -> Iterator[Gateway]:
    """A gateway that counts, from zero."""
    settings.METRICS, settings.METRICS_TOKEN = True, ""
    Counts.forget()
    Counts.on = True
    yield gateway
    Counts.on = False
    Counts.forget()


def scrape(gateway: Gateway) -> list[Sample]:
    with gateway.http() as client:
        answer = client.get("/metrics", headers=OPEN_METRICS)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return [sample for family in families for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    assert found, f"no {name} {labels}"
    return sum(found)


def test_a_request_is_counted_with_its_tokens_and_its_dollars(
    metered: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    answer = metered.chat(alice)
    assert float(answer.headers["x-hontoni-overhead-ms"]) > 0
    with metered.begun(alice, "Hello") as arriving:
        assert b"".join(arriving)
    samples = scrape(metered)
    kind = {"dialect": "openai_chat", "model": "gpt-4o", "outcome": "whole"}
    assert value(samples, "hontoni_requests_total", **kind) == 2
    events = metered.books()
    charged = Decimal(dollars(sum(event.cost for event in events)))
    assert value(samples, "hontoni_charged_dollars_total") == pytest.approx(float(charged))
    output = value(samples, "hontoni_tokens_total", bucket="output")
    assert output == sum(event.output for event in events)
    assert value(samples, "hontoni_overhead_seconds_count") == 2
    assert value(samples, "hontoni_first_byte_seconds_count", model="gpt-4o") == 2
    ids = {s.exemplar.labels["request_id"] for s in samples if s.exemplar is not None}
    assert answer.headers["x-request-id"] in ids


def test_what_a_request_holds_while_it_runs_is_told(metered: Gateway, alice: Person) -> None:
    fund(alice, "10")
    metered.vendors.faults.append(Fault(silence=1.0, silence_at=2))
    with metered.begun(alice, "Hello"):
        samples = scrape(metered)
        assert value(samples, "hontoni_open_streams") == value(samples, "hontoni_slots") == 1
        assert value(samples, "hontoni_holds_nano_dollars") > 0


def test_refusals_are_counted_by_kind(metered: Gateway, alice: Person) -> None:
    assert metered.chat(alice).status_code == 402
    refused = {"status": "402", "code": "insufficient_balance"}
    assert value(scrape(metered), "hontoni_refusals_total", **refused) == 1


@pytest.mark.outside_the_law("the vendor fails")
def test_a_breaker_that_opened_is_told(metered: Gateway, alice: Person) -> None:
    fund(alice, "10")
    metered.vendors.faults.extend([Fault(status=500)] * 12)
    for _ in range(5):
        metered.chat(alice)
    assert value(scrape(metered), "hontoni_breaker", model="gpt-4o") == 2


def test_usage_on_its_way_to_the_books_is_a_queue(metered: Gateway, alice: Person) -> None:
    fund(alice, "10")
    metered.books()
    metered.chat(alice)
    waiting = scrape(metered)
    assert value(waiting, "hontoni_settlement_queue") == 1
    assert 0 <= value(waiting, "hontoni_settlement_lag_seconds") < 60
    metered.books()
    assert value(scrape(metered), "hontoni_settlement_queue") == 0


def test_the_worker_and_the_last_reconcile_are_told(metered: Gateway) -> None:
    assert value(scrape(metered), "hontoni_worker_silent_seconds") == -1
    say_alive()
    health.note_reconcile(3)
    samples = scrape(metered)
    assert value(samples, "hontoni_worker_silent_seconds") >= 0
    assert value(samples, "hontoni_reconcile_differences") == 3
    with metered.http() as client:
        assert client.get("/readyz").json()["alarms"]["books"].endswith("3 differences")
    health.note_reconcile(0)


def test_only_who_may_reads_it(metered: Gateway, settings: Settings) -> None:
    with metered.http() as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/metrics", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 404
        settings.METRICS_TOKEN = "of-prometheus"
        assert client.get("/metrics").status_code == 404
        bearer = {"Authorization": "Bearer of-prometheus"}
        assert client.get("/metrics", headers=bearer).status_code == 200
        settings.METRICS = False
        assert client.get("/metrics", headers=bearer).status_code == 404


def test_off_counts_nothing(gateway: Gateway, alice: Person) -> None:
    Counts.forget()
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    assert (Counts.rows, Counts.overhead.sum) == ({}, 0.0)


LIVE = Live({"slots": 2}, {("here", "gpt-4o"): 2})
OTHER = """
import sys
sys.path.insert(0, {root!r})
import django
django.setup()
from pathlib import Path
from gateway.metrics import snapshots
from gateway.plane import counts
counts.refused(402, "insufficient_balance")
snapshots.Shared.folder = folder = snapshots.Folder(Path({folder!r}))
snapshots.write(snapshots.own(snapshots.Live({{"slots": 3}}, {{("there", "gpt-4o"): 1}})))
print("written", flush=True)
sys.stdin.read()
"""


def test_processes_behind_one_port_are_added_up_and_the_ended_stay_counted(
    tmp_path: Path, metered: Gateway
) -> None:
    counts.refused(402, "insufficient_balance")
    folder = Folder(tmp_path)
    code = OTHER.format(root=str(Path(__file__).parents[3]), folder=str(tmp_path))
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"written\n"
    both = folder.read(snapshots.own(LIVE))
    assert both.refusals["402", "insufficient_balance"] == 2
    assert (both.gauges["slots"], both.processes) == (5, 2)
    other.kill()
    other.communicate()
    later = Folder(tmp_path)
    for reader in (folder, later):
        left = reader.read(snapshots.own(LIVE))
        assert left.refusals["402", "insufficient_balance"] == 2
        assert (left.gauges["slots"], left.processes) == (2, 1)
    assert not list(tmp_path.glob(f"{other.pid}-*"))
    folder.close()
    later.close()
