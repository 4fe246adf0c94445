"""Charges that are in the archive are listed, explained and found as if they were here."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.books.models import Transfer
from billing.payments import exports
from billing.plans.seed import seed
from billing.staff import month_admin
from cockpit import evidence, finding
from gateway.dashboard import signed_receipts
from gateway.dashboard.views import data_views
from gateway.usage.models import UsageEvent
from hontoni import errors
from tests.gateway.archive.years import (
    GONE,
    KEPT,
    archive,
    exported,
    layout,
    lived,
    pages,
    requests,
    retain,
    send,
)
from tests.world import Person

__all__ = ["archive", "layout", "lived"]

LIST = "/api/billing/transactions"


def test_transactions_go_on_into_the_archive_and_back_out_of_it(
    lived: Person, bob: Person
) -> None:
    """Page by page, narrowed to a kind or not, whether a page ends at the edge or beside it."""
    queries = [f"?limit={n}" for n in (1, 3, 50)]
    queries += ["?kind=usage&limit=4", "?kind=adjustment&limit=3", "?kind=usage&kind=topup"]
    before = {query: pages(lived, LIST + query) for query in queries}
    others = pages(bob, LIST)
    assert [len(before[q]) for q in queries] == [16, 16, 16, 12, 4, 12]
    retain()
    assert not Transfer.objects.filter(kind="usage", created_at__lt=KEPT).exists()
    assert {query: pages(lived, LIST + query) for query in queries} == before
    assert pages(bob, LIST) == others
    first = lived.client().get(f"{LIST}?limit=12").json()
    second = lived.client().get(first["next"]).json()
    assert first["results"] + second["results"] == before["?limit=50"]
    assert lived.client().get(second["previous"]).json()["results"] == first["results"]


def test_a_charge_in_the_archive_lists_its_requests_to_its_owner_alone(
    lived: Person, bob: Person, client: Client
) -> None:
    charged = pages(lived, f"{LIST}?kind=usage")
    addresses = [each["usage"]["url"] for each in charged]
    before = [pages(lived, address) for address in addresses]
    assert [len(each) for each in before] == [2] * 12
    retain()
    assert [pages(lived, address) for address in addresses] == before
    assert bob.client().get(addresses[-1]).status_code == 400
    assert lived.client().get("/api/usage?transaction=txn_1").status_code == 400
    old = charged[-1]
    client.force_login(lived.user)
    page = client.get(f"/usage?transaction={old['id']}").content.decode()
    assert page.count('id="r') == 2
    client.force_login(bob.user)
    assert client.get(f"/usage?transaction={old['id']}").status_code == 404


def test_a_charge_that_is_here_lists_requests_that_are_gone(lived: Person) -> None:
    """Admitted in the last hour of a month, and charged in the next."""
    send(lived, KEPT - timedelta(seconds=2), times=2)
    (charge,) = (each for each in pages(lived, LIST) if each["created_at"] == _at_edge(lived))
    before = pages(lived, charge["usage"]["url"])
    assert len(before) == 2
    retain()
    assert UsageEvent.objects.filter(created_at__lt=KEPT).count() == 0
    assert pages(lived, charge["usage"]["url"]) == before


def _at_edge(person: Person) -> str:
    found = pages(person, f"{LIST}?kind=usage")
    return next(str(each["created_at"]) for each in found if each["created_at"] < "2025-10-02")


def test_the_page_and_the_file_of_all_data_show_old_charges(
    lived: Person, client: Client, archive: Path
) -> None:
    client.force_login(lived.user)
    seed()
    rows = charges_shown(client)
    assert rows == [12, 0, 4]
    everything = exported(lived, "transactions")
    assert len(everything) == 16
    retain()
    assert charges_shown(client) == rows
    assert exported(lived, "transactions") == everything
    archive.rename(archive.with_name("away"))
    page = client.get("/billing?kind=usage").content.decode()
    assert "cannot be read right now" in page and page.count("?transaction=txn_") == 6
    assert client.get("/billing").status_code == 200
    assert lived.client().get(f"{LIST}?limit=7").status_code == 200  # none of them is old
    for path in (LIST, "/usage.csv", "/usage.parquet?since=2025-08-01&until=2025-08-31"):
        client_of = lived.client() if path == LIST else client
        assert client_of.get(path).status_code == 503, path
    assert client.get("/usage.csv?days=30").status_code == 200
    with pytest.raises(errors.Unavailable):
        data_views.exported(lived.user)
    with pytest.raises(errors.Unavailable):
        month_admin.csv_of("transfers", GONE[0].date(), KEPT.date())
    assert month_admin.csv_of("transfers", KEPT.date(), KEPT.date()).status_code == 200


def charges_shown(client: Client) -> list[int]:
    pages = [client.get(f"/billing{query}").content for query in QUERIES]
    return [page.count(b"?transaction=txn_") for page in pages]


QUERIES = ("?kind=usage", "", "?kind=usage&before=7")


def test_accountants_have_the_same_transfers_of_a_month_that_is_gone(lived: Person) -> None:
    def lines(first: Any, last: Any) -> list[str]:
        return list(exports.lines(exports.EXPORTS["transfers"], first.date(), last.date()))

    spans = [(GONE[0], KEPT), (GONE[0] + timedelta(days=3), GONE[0] + timedelta(days=9))]
    before = [lines(*span) for span in spans]
    assert [len(each) for each in before] == [1 + 2 * (2 * 4) + 2, 1 + 2 * 2]
    retain()
    assert [lines(*span) for span in spans] == before


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("owner@example.com", "x"))
    return client


def test_staff_find_an_old_request_and_its_charge(lived: Person, staff: Client) -> None:
    """By our id, and by the vendor's; its page opens."""
    send(lived, GONE[0] + timedelta(days=4), upstream_request_id="msg_Old0ne1234")
    old = UsageEvent.objects.get(upstream_request_id="msg_Old0ne1234")
    charge = Transfer.objects.get(key=f"usage:{old.request_id}")
    addresses = [
        reverse("admin:gateway_usageevent_change", args=[old.pk]),
        reverse("admin:billing_transfer_change", args=[charge.pk]),
    ]
    retain()
    assert not UsageEvent.objects.filter(pk=old.pk).exists()
    for text in (old.request_id, "msg_Old0ne1234", f"https://x/usage/{old.request_id}"):
        (found,) = [each for find in finding._FINDERS for each in find(text)]
        assert finding.page(found.row) == addresses[0] and "in the archive" in found.about
    for address, text in zip(addresses, ("msg_Old0ne1234", "usage:req_"), strict=True):
        page = staff.get(address)
        assert page.status_code == 200 and text in page.content.decode()
    missing = reverse("admin:billing_transfer_change", args=[charge.pk + 10**6])
    assert staff.get(missing).status_code == 302


@pytest.mark.parametrize("language", ["en", "vi"])
def test_lists_of_staff_say_what_is_not_in_them(
    lived: Person, staff: Client, language: str
) -> None:
    names = ("billing_transfer", "billing_entry", "gateway_usageevent")
    pages = [reverse(f"admin:{name}_changelist") for name in names]
    words = {"en": "in the archive, and not in this list", "vi": "nằm trong kho lưu trữ"}
    staff.cookies["django_language"] = language

    def notes(query: str = "") -> list[bool]:
        answers = [staff.get(page + query).content.decode() for page in pages]
        return [words[language] in answer and f"{KEPT.date()}" in answer for answer in answers]

    assert notes() == [False] * 3
    retain()
    assert notes() == [True] * 3
    assert notes("?q=nothing")[0], "where none is found"


def test_a_bank_is_told_of_receipts_that_are_in_the_archive(lived: Person, archive: Path) -> None:
    before = list(evidence._receipts(lived.user, GONE[0] + timedelta(days=5)))
    assert len(before) == 1 + 22
    retain()
    assert list(evidence._receipts(lived.user, GONE[0] + timedelta(days=5))) == before
    archive.rename(archive.with_name("away"))
    told = list(evidence._receipts(lived.user, GONE[0]))
    assert "gather again" in told[1] and len(told) == 2 + 12


def test_a_file_that_is_broken_is_an_archive_that_is_away(
    lived: Person, archive: Path, client: Client
) -> None:
    old = requests(lived, GONE[0])[0]
    retain()
    for each in archive.iterdir():
        each.write_bytes(b"PAR1 nothing of the kind PAR1")
    assert lived.client().get(LIST).status_code == 503
    assert lived.client().get(f"/api/usage/{old.request_id}").status_code == 503
    assert lived.client().get("/api/usage?limit=12").status_code == 503
    assert not signed_receipts.still({"request_id": "no id"})
