"""Old months leave the database: nothing is lost, nothing counts twice, and it can be proved."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from pytest_django.fixtures import Settings

from billing.books import checkpoints, ledger
from billing.books.models import BroughtForward, Checkpoint, Entry, Transfer
from billing.invoices import statements
from gateway.archive import dropping, expiry, exporting
from gateway.archive.dropping import MONTHLY
from gateway.dashboard import signed_receipts
from gateway.reconciliation.invariants import problems
from gateway.usage import ledger_roots
from gateway.usage.models import UsageEvent, UsageHour
from hontoni import archive_files, errors, months, partitions
from tests.gateway.archive.years import (
    GONE,
    KEPT,
    NOW,
    YEAR,
    archive,
    exported,
    joined,
    layout,
    live,
    lived,
    pages,
    paid,
    requests,
    retain,
    send,
)
from tests.operations.storage import Storage, storage
from tests.world import Person

__all__ = ["archive", "layout", "lived", "storage"]


def balances(*people: Person) -> list[int]:
    return [ledger.balance(person.user.pk) for person in people]


def test_what_is_old_enough_goes_and_the_books_balance_as_before(
    layout: str, alice: Person, bob: Person
) -> None:
    lived = alice
    live(alice, bob, during=YEAR)
    before = balances(lived, bob)
    hours = UsageHour.objects.count()
    assert [each.month for each in retain()] == [month.date() for month in GONE]
    assert UsageEvent.objects.filter(created_at__lt=KEPT).count() == 0
    assert len(requests(lived, KEPT)) == 6
    old = Transfer.objects.filter(created_at__lt=KEPT)
    assert {transfer.kind for transfer in old} == {"adjustment"}  # payments stay
    assert Entry.objects.filter(transfer__in=old).count() == 2 * old.count()
    assert problems() == [] and balances(lived, bob) == before
    assert UsageHour.objects.count() == hours
    assert retain() == []  # and again: nothing is due
    send(lived, NOW)
    paid(lived, NOW, "1")
    assert problems() == []


@pytest.mark.postgres_only
@pytest.mark.parametrize("layout", ["partitions"], indirect=True)
def test_months_are_dropped_and_none_is_left_beside_the_tables(lived: Person) -> None:
    retain()
    for of in MONTHLY:
        there = [each.name for each in partitions.partitions(of)]
        assert there[0] == of.before and there[-1] == of.rest
        assert not {of.partition(month) for month in GONE} & set(there)
        assert list(dropping._aside(of)) == []


def test_the_statement_of_a_month_that_is_gone_is_the_same(lived: Person) -> None:
    output = [statements.of(lived.user.pk, f"2025-{month:02}", NOW) for month in (8, 9, 10)]
    retain()
    assert [statements.of(lived.user.pk, f"2025-{n:02}", NOW) for n in (8, 9, 10)] == output


def test_a_receipt_out_of_the_archive_is_the_same_and_its_owners_alone(
    lived: Person, bob: Person, client: Client
) -> None:
    old = requests(lived, GONE[1])[2]
    path = f"/api/usage/{old.request_id}"
    before = lived.client().get(path).json()
    client.force_login(lived.user)
    page = client.get(f"/usage/{old.request_id}").content
    retain()
    assert not UsageEvent.objects.filter(pk=old.pk).exists()
    assert lived.client().get(path).json() == before
    assert client.get(f"/usage/{old.request_id}").content.count(b"$0.0105") == page.count(
        b"$0.0105"
    )
    assert bob.client().get(path).status_code == 404
    client.force_login(bob.user)
    assert client.get(f"/usage/{old.request_id}").status_code == 404


def test_a_signed_receipt_of_the_archive_leads_to_the_same_root(lived: Person) -> None:
    """And a stranger who has it hears that the books still say so."""
    ledger_roots.make(NOW)
    old = requests(lived, GONE[0])[3]
    path = f"/api/usage/{old.request_id}/signed"
    before = lived.client().get(path).json()
    assert before["proof"]["root"]
    retain()
    after = lived.client().get(path).json()
    assert after["proof"] == before["proof"] and after["receipt"] == before["receipt"]
    assert signed_receipts.still(after["receipt"])
    young = requests(lived, KEPT)[0]  # its root has lost transfers that stood before it
    assert lived.client().get(f"/api/usage/{young.request_id}/signed").json()["proof"]["root"]
    assert problems() == []


def test_receipts_are_read_out_of_a_bucket(
    lived: Person, storage: Storage, settings: Settings
) -> None:
    settings.ARCHIVE_URL = storage.url
    old = requests(lived, GONE[0])[0]
    retain()
    assert any(name.endswith(".parquet") for name in storage.objects)
    found = lived.client().get(f"/api/usage/{old.request_id}").json()
    assert (found["request_id"], found["cost"]) == (old.request_id, "0.0105")


def test_who_dies_between_export_and_drop_has_changed_nothing(
    lived: Person, bob: Person, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = balances(lived, bob)
    rows = UsageEvent.objects.count(), Transfer.objects.count(), Entry.objects.count()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dropping, "drop", killed)
        with pytest.raises(KeyboardInterrupt):
            retain()
    assert len(list(archive.iterdir())) == 3  # the files are there
    assert (UsageEvent.objects.count(), Transfer.objects.count(), Entry.objects.count()) == rows
    assert not Checkpoint.objects.exists() and problems() == []
    retain()
    assert len(list(archive.iterdir())) == 6 and problems() == []
    assert balances(lived, bob) == before


def test_rows_that_are_written_during_the_export_are_not_lost(
    lived: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month is not taken out that has more than was exported; the next time it is."""
    export = exporting.export

    def slow(span: Any) -> Any:
        files = export(span)
        send(lived, GONE[0] + timedelta(days=11))
        return files

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "export", slow)
        with pytest.raises(expiry.Changed):
            retain()
    assert problems() == []
    retain()
    assert problems() == []


def test_what_comes_when_its_month_is_gone_goes_with_the_next(
    lived: Person, settings: Settings
) -> None:
    retain()
    send(lived, GONE[0] + timedelta(days=12))
    assert problems() == []
    late = UsageEvent.objects.order_by("pk")[0]
    (made,) = expiry.run(months.shifted(NOW, 1))
    assert checkpoints.contents(made)["usage"]["late"] == 1
    assert problems() == []
    path = f"/api/usage/{late.request_id}"
    assert lived.client().get(path).json()["request_id"] == late.request_id


def test_requests_that_staff_look_into_stay(lived: Person) -> None:
    from gateway.usage.quarantine.models import UsageQuarantine

    kept = requests(lived, GONE[0])[1]
    UsageQuarantine.objects.create(event=kept, told={})
    retain()
    assert UsageEvent.objects.get(pk=kept.pk).cost == kept.cost
    assert UsageEvent.objects.filter(created_at__lt=KEPT).count() == 1
    assert problems() == []
    assert lived.client().get(f"/api/usage/{kept.request_id}").status_code == 200


def test_only_what_a_checkpoint_names_may_be_deleted(lived: Person) -> None:
    retain()
    payment = Transfer.objects.filter(kind="adjustment").order_by("pk")[0]
    young = Transfer.objects.filter(kind="usage").order_by("pk")[0]
    for row in (payment, young):
        for table, column in (("billing_entry", "transfer_id"), ("billing_transfer", "id")):
            delete = f"DELETE FROM {table} WHERE {column} = %s"
            with (
                pytest.raises(IntegrityError),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(delete, [row.pk])


# -- Whoever changes it is noticed ---------------------------------------------------------------


def forge(sql: str, *values: Any) -> None:
    """As somebody who owns the database."""
    with (
        connection.constraint_checks_disabled(),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(sql, values)
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        cursor.execute(sql, values)
        for _, definition in triggers:
            cursor.execute(definition)


@pytest.mark.parametrize(
    ("sql", "output"),
    [
        (
            "UPDATE billing_checkpoint SET statement = replace(statement, '2025-08', '2025-07')",
            "is not what was signed",
        ),
        ("UPDATE billing_checkpoint SET signature = 'ff'", "is not what was signed"),
        ("UPDATE billing_checkpoint SET transfers_until = 1", "stands for something else"),
        ("DELETE FROM billing_checkpoint WHERE number = 1", "does not follow"),
        ("UPDATE billing_broughtforward SET amount = amount - 1", "was brought forward"),
        ("UPDATE gateway_usagebroughtforward SET cost = cost + 1", "what accounts used"),
        ("UPDATE gateway_usagehour SET output = output + 1 WHERE id = "
         "(SELECT min(id) FROM gateway_usagehour)", "the rollups of 2025-08 are not"),
        ("DELETE FROM gateway_usagehour WHERE id = (SELECT min(id) FROM gateway_usagehour)",
         "the rollups of 2025-08 are not"),
    ],
)  # fmt: skip
def test_a_forged_checkpoint_is_noticed(lived: Person, sql: str, output: str) -> None:
    retain()
    forge(sql)
    assert any(output in each for each in problems())


def test_the_newest_must_be_signed_by_us(lived: Person, settings: Settings) -> None:
    retain()
    settings.CREDENTIAL_KEYS = ["another key of thirty-two characters"]
    assert any("CREDENTIAL_KEYS" in each for each in problems())
    settings.CREDENTIAL_KEYS = ["another key of thirty-two characters", settings.SECRET_KEY]
    assert problems() == []  # a new key is put in front of the old one
    expiry.run(months.shifted(NOW, 1))
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    assert problems() == []  # and the old one may go with the next checkpoint


def test_a_file_that_was_changed_or_lost_is_noticed(lived: Person, archive: Path) -> None:
    retain()
    output = StringIO()
    call_command("retention", "verify", stdout=output)
    assert "2 checkpoints and their files are sound" in output.getvalue()
    first, second, *_ = sorted(archive.iterdir())
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()
    faults = StringIO()
    with pytest.raises(CommandError, match="2 faults"):
        call_command("retention", "verify", stderr=faults)
    assert "is not the file that was written" in faults.getvalue()
    assert "is not to be had" in faults.getvalue()


# -- Everything else that reads old usage --------------------------------------------------------


def test_what_is_gone_is_not_priced_anew_nor_summed_anew(lived: Person) -> None:
    from gateway.catalogue.models import Price
    from gateway.usage import vendor_days
    from gateway.usage.corrections.booking import Range

    retain()
    price = Price.objects.get(model_id="claude-sonnet-4")
    with pytest.raises(errors.BadRequest, match="in the archive"):
        Range(price, GONE[0], KEPT)
    Range(price, KEPT, NOW)
    with pytest.raises(errors.BadRequest, match="in the archive"):
        vendor_days.rebuild(GONE[0].date(), NOW.date())
    assert list(vendor_days.problems(GONE[0].date(), NOW.date())) == []


def test_the_command_says_what_it_would_do_and_does_it(
    lived: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone

    monkeypatch.setattr(timezone, "now", lambda: NOW)
    output = StringIO()
    call_command("retention", stdout=output)
    assert "2025-08: 12 requests and 6 charges would go" in output.getvalue()
    assert "2025-09: after that" in output.getvalue()
    assert UsageEvent.objects.filter(created_at__lt=KEPT).exists()
    call_command("retention", "run", stdout=output)
    assert "2 months taken out" in output.getvalue()
    call_command("retention", stdout=output)
    assert "Nothing is old enough." in output.getvalue()


def test_zero_keeps_everything(lived: Person, settings: Settings) -> None:
    settings.RETENTION_MONTHS = 0
    assert retain() == []
    settings.RETENTION_MONTHS = 1  # less than windows and vendors' bills need
    assert list(expiry.due(NOW))[-1] == datetime(2026, 7, 1, tzinfo=UTC)


def test_the_files_are_readable_by_any_tool(lived: Person, archive: Path) -> None:
    import pyarrow.parquet as pq

    (made, _) = retain()
    usage, transfers, entries = checkpoints.contents(made)["files"]
    rows = pq.read_table(archive / usage["name"]).to_pylist()
    assert len(rows) == usage["rows"] == 12
    assert sum(row["cost"] for row in rows) == 12 * 10_500_000
    moved = pq.read_table(archive / transfers["name"]).to_pylist()
    sides = pq.read_table(archive / entries["name"]).to_pylist()
    assert sum(row["amount"] for row in sides) == 0 and len(sides) == 2 * len(moved)
    lines = BroughtForward.objects.filter(checkpoint=made)
    assert sum(line.amount for line in lines) == 0
    assert archive_files.sha256(archive / usage["name"]) == usage["sha256"]


# -- Lists ---------------------------------------------------------------------------------------


def test_a_list_goes_on_into_the_archive_and_back_out_of_it(lived: Person, bob: Person) -> None:
    """Page by page, whether one ends at the edge, before it or behind it."""
    before = {n: pages(lived, f"/api/usage?limit={n}") for n in (1, 5, 50)}
    others = pages(bob, "/api/usage")
    retain()
    assert UsageEvent.objects.filter(user=lived.user).count() == 12
    assert {n: pages(lived, f"/api/usage?limit={n}") for n in before} == before
    assert pages(bob, "/api/usage") == others
    last = lived.client().get("/api/usage?limit=13").json()
    oldest = lived.client().get(last["next"]).json()
    assert last["results"] + oldest["results"] == before[50]
    assert lived.client().get(oldest["previous"]).json()["results"] == last["results"]


def test_a_list_is_narrowed_in_the_archive_as_in_the_database(lived: Person) -> None:
    send(
        lived,
        GONE[0] + timedelta(days=5),
        model="gpt-4o",
        client="aider/0.86",
        tool="Aider",
        status=502,
    )
    queries = (
        *("model=gpt-4o", "tool=Aider", f"key={lived.key.pk}", "key=987654", "model=nothing"),
        *("since=2025-08-05T00:00:00Z&until=2025-09-05T00:00:00Z", "until=2025-08-05T00:00:00Z"),
    )
    before = {query: pages(lived, f"/api/usage?{query}") for query in queries}
    assert [len(before[q]) for q in queries] == [1, 1, 25, 0, 0, 7, 2]
    retain()
    assert {query: pages(lived, f"/api/usage?{query}") for query in queries} == before


def test_the_page_and_its_export_show_old_requests(
    lived: Person, bob: Person, client: Client
) -> None:
    client.force_login(lived.user)
    addresses = [
        *("/usage", "/usage?outcome=failed", "/usage?key=987654"),
        "/usage?since=2025-08-01&until=2025-08-31",
    ]
    output = [rows_of(client, address) for address in addresses]
    assert [len(rows) for rows in output] == [24, 0, 0, 6]
    export, everything = csv_of(client), exported(lived, "requests")
    moments = [each["created_at"] for each in everything]
    assert len(everything) == 24 and moments == sorted(moments)
    assert len(export) == 1 + 24
    retain()
    assert [rows_of(client, address) for address in addresses] == output
    assert csv_of(client) == export
    assert exported(lived, "requests") == everything
    client.force_login(bob.user)
    assert not set(csv_of(client)[1:]) & set(export)


def rows_of(client: Client, address: str) -> list[str]:
    """The ids of the requests that a page lists."""
    return re.findall(r'id="r([0-9a-f]{32})"', client.get(address).content.decode())


def csv_of(client: Client) -> list[bytes]:
    response: Any = client.get("/usage.csv")
    return asyncio.run(joined(response.streaming_content)).splitlines()


def test_what_came_late_and_what_stays_is_listed_once_and_in_its_place(lived: Person) -> None:
    from gateway.usage.quarantine.models import UsageQuarantine

    UsageQuarantine.objects.create(event=requests(lived, GONE[0])[1], told={})
    retain()
    send(lived, GONE[0] + timedelta(days=12))
    before = pages(lived, "/api/usage?limit=4")
    assert len(before) == 25
    moments = [each["created_at"] for each in before]
    assert moments == sorted(moments, reverse=True)
    expiry.run(months.shifted(NOW, 1))
    assert pages(lived, "/api/usage?limit=4") == before


def test_where_the_archive_is_away_pages_say_so_and_show_the_rest(
    lived: Person, client: Client, archive: Path
) -> None:
    old = requests(lived, GONE[0])[0].request_id
    retain()
    archive.rename(archive.with_name("away"))
    client.force_login(lived.user)
    page = client.get("/usage").content.decode()
    assert "cannot be read right now" in page and page.count('id="r') == 12
    assert client.get(f"/usage/{old}").status_code == 503
    assert lived.client().get("/api/usage?limit=11").status_code == 200  # none of them is old
    assert lived.client().get("/api/usage?limit=12").status_code == 503
    assert lived.client().get(f"/api/usage/{old}").status_code == 503
