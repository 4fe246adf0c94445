"""What staff see of vendors' bills: mails, pages, the API and commands; and nobody else."""

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing.books.models import AuditEntry
from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.seed import seed
from gateway.dashboard.roles import seed as seed_roles
from gateway.reconciliation.vendors import alarms, intake
from gateway.reconciliation.vendors.comparison import differences
from gateway.reconciliation.vendors.models import (
    ReportSource,
    VendorBill,
    VendorDifference,
    VendorImport,
)
from gateway.usage.vendor_day import UsageVendorDay
from gateway.vendors import vault
from tests.gateway.reconciliation.vendors import reports
from tests.gateway.reconciliation.vendors.reports import DAY
from tests.world import PASSWORD, Person, person

ON = date.fromisoformat(DAY)
DAYS = {"from": DAY, "to": DAY}
COSTLY = json.loads(json.dumps(reports.OPENAI_COSTS).replace("0.0005", "12.5"))


@pytest.fixture(autouse=True)
def _world(db: None) -> None:
    seed()
    seed_roles()


def read(report: Any) -> VendorImport:
    return intake.read_file(json.dumps(report).encode(), name="report.json", by="tests")


def staff(role: str) -> Person:
    made = person(role)
    made.user.is_staff = True
    made.user.save()
    made.user.groups.add(Group.objects.get(name=role))
    return made


def page(role: str) -> Client:
    user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


# -- Mail ----------------------------------------------------------------------------------------


def test_staff_are_told_once_of_one_difference(mailoutbox: list[Any]) -> None:
    staff("finance")
    staff("support")
    person("alice")
    read(reports.OPENAI_USAGE)
    read(COSTLY)
    for _ in range(3):
        (found,) = alarms.look(ON, ON)
        assert found.place.model == "gpt-4o" and found.rest == found.billed
    (mail,) = mailoutbox
    assert mail.to == ["finance@example.com"]
    assert "1 vendor bills" in mail.subject and "gpt-4o" in mail.body and "$12.506" in mail.body
    row = VendorDifference.objects.get()
    assert (row.rest, row.gone_at) == (found.rest, None)


def test_a_difference_that_is_gone_and_comes_back_is_told_again(mailoutbox: list[Any]) -> None:
    staff("finance")
    read(reports.OPENAI_USAGE)
    read(COSTLY)
    alarms.look(ON, ON)
    read(reports.OPENAI_COSTS)
    assert alarms.look(ON, ON) == []
    assert VendorDifference.objects.get().gone_at is not None
    read(COSTLY)
    assert len(alarms.look(ON, ON)) == 1
    assert VendorDifference.objects.get().gone_at is None and len(mailoutbox) == 2


def test_costs_alone_alarm_nobody() -> None:
    """Until usage is imported, too, nothing says what they are for."""
    read(COSTLY)
    assert alarms.look(ON, ON) == []
    read(reports.OPENAI_USAGE)
    assert len(alarms.look(ON, ON)) == 1


def test_an_upload_is_looked_at_once_it_is_there(mailoutbox: list[Any]) -> None:
    client = page("finance")
    for report in (COSTLY, reports.OPENAI_USAGE):
        assert upload(client, json.dumps(report).encode()).status_code == 302
    (mail,) = mailoutbox
    assert mail.to == ["finance@example.com"] and "gpt-4o" in mail.body


def test_both_thresholds_must_be_passed(settings: Settings) -> None:
    read(reports.OPENAI_USAGE)
    read(COSTLY)
    for dollars, percent, expected in (("12.60", 1, 0), ("12.50", 1, 1), ("12.50", 101, 0)):
        settings.VENDOR_ALERT_DOLLARS, settings.VENDOR_ALERT_PERCENT = dollars, percent
        assert len(alarms.look(ON, ON)) == expected


def test_a_mail_that_cannot_be_sent_is_sent_the_next_time(
    mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    staff("finance")
    read(reports.OPENAI_USAGE)
    read(COSTLY)

    def broken(*_: Any) -> None:
        raise OSError("no mail today")

    with monkeypatch.context() as today:
        today.setattr(alarms, "send_mail", broken)
        assert len(alarms.look(ON, ON)) == 1
    assert VendorDifference.objects.count() == 0
    alarms.look(ON, ON)
    assert len(mailoutbox) == 1


def test_what_we_booked_and_no_vendor_billed_is_a_difference_too() -> None:
    """Below 0: customers may have paid for what the vendor never counted."""
    read(reports.OPENAI_USAGE)
    UsageVendorDay.objects.create(
        day=ON, vendor="openai", credential="sandbox", model="gpt-4.1", part="charged",
        requests=3, input=2_000_000, output=1_000_000, cost=12 * 10**9,
    )  # fmt: skip
    (found,) = alarms.look(ON, ON)
    assert found.place.model == "gpt-4.1" and found.rest == -12 * 10**9
    assert found.rates == "our_price" and found.parts == {"charged": 12 * 10**9}


# -- Hosted tools --------------------------------------------------------------------------------


def test_calls_of_hosted_tools_are_compared_with_the_model_that_made_them() -> None:
    """Costs name no model for them. One vendor counts the calls in its usage, the other does not:
    there what we ask for a call is the measure."""
    for report in (reports.ANTHROPIC_USAGE, reports.ANTHROPIC_COSTS):
        read(report)
    read(reports.OPENAI_USAGE)
    read(reports.OPENAI_COSTS)
    UsageVendorDay.objects.create(
        day=ON, vendor="anthropic", credential="sandbox", model="claude-sonnet-4", part="charged",
        requests=3, input=3000, cache_read=400, cache_write_5m=1000, cache_write_1h=2000,
        output=1000, calls=20, calls_cost=200_000_000,
    )  # fmt: skip
    UsageVendorDay.objects.create(
        day=ON, vendor="openai", credential="sandbox", model="gpt-4o", part="charged",
        requests=5, input=200, cache_read=800, output=500, calls=3, calls_cost=30_000_000,
    )  # fmt: skip
    found = {each.place.model: each for each in differences(ON, ON)}
    assert found.keys() == {"claude-sonnet-4", "gpt-4o"}
    assert all(each.rest == 0 for each in found.values())
    assert found["claude-sonnet-4"].billed == 1_468_761_200
    assert found["gpt-4o"].billed == 36_500_000


# -- The API -------------------------------------------------------------------------------------

ADDRESSES = (
    "/api/staff/vendor-bills",
    "/api/staff/vendor-bills/differences",
    "/api/staff/margins",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_staff_who_may_see_bills_see_them(address: str, settings: Settings) -> None:
    read(reports.OPENAI_USAGE)
    finance = staff("finance").client()
    assert person("alice").client().get(address).status_code == 403
    assert staff("support").client().get(address).status_code == 403
    assert finance.get(address, DAYS).status_code == 200
    settings.SANDBOX = False  # outside of it staff need a second factor, here as in the admin
    assert finance.get(address).status_code == 403


def test_bills_are_listed_with_dollars_as_text() -> None:
    read(reports.OPENAI_USAGE)
    read(reports.OPENAI_COSTS)
    read(reports.GOOGLE_ROWS)
    client = staff("finance").client()
    answer = client.get(ADDRESSES[0], DAYS | {"vendor": "openai"}).json()
    assert [row["vendor"] for row in answer["results"]] == ["openai"] * 3
    by_key = {(row["key"], row["vendor_model"]): row for row in answer["results"]}
    assert by_key["key_one", "gpt-4o-2024-08-06"]["cache_read"] == 800
    assert by_key["key_one", "gpt-4o-2024-08-06"]["dollars"] is None
    assert by_key["", "gpt-4o-2024-08-06"]["dollars"] == "0.0065"
    first = client.get(ADDRESSES[0], DAYS | {"limit": 2}).json()
    assert len(first["results"]) == 2 and first["next"]
    rest = client.get(first["next"]).json()["results"]
    assert len(rest) == 2
    assert not {row["id"] for row in rest} & {row["id"] for row in first["results"]}


def test_differences_are_told_in_parts() -> None:
    read(reports.OPENAI_USAGE)
    read(reports.OPENAI_COSTS)
    UsageVendorDay.objects.create(
        day=ON, vendor="openai", credential="sandbox", model="gpt-4o", part="charged",
        requests=4, input=200, cache_read=800, output=400, cost=9_000_000,
    )  # fmt: skip
    client = staff("finance").client()
    (row, tools) = client.get(ADDRESSES[1], DAYS).json()["results"]
    if row["model"] == "":
        row, tools = tools, row
    assert row["billed"] == "0.0065" and row["rates"] == "bill" and row["credential"] == "sandbox"
    assert row["parts"] == {"charged": "0.0055"} and row["rest"] == "0.001"
    assert row["vendor_units"]["output"] == 500 and row["booked_units"]["output"] == 400
    assert row["revenue"] == "0.009" and row["alarming"] is False
    assert tools["rest"] == tools["billed"] == "0.03"


def test_margins_are_told_by_model_day_and_customer_and_as_a_spreadsheet() -> None:
    read(reports.OPENAI_USAGE)
    read(reports.OPENAI_COSTS)
    client = staff("finance").client()
    for by, name in (("model", "gpt-4o"), ("day", DAY), ("customer", None)):
        rows = client.get(ADDRESSES[2], DAYS | {"by": by}).json()["results"]
        assert name in [row["name"] for row in rows]
        assert sum(float(row["vendor_cost"]) for row in rows) == pytest.approx(0.0365)
    answer = client.get(ADDRESSES[2], DAYS | {"by": "model", "format": "csv"})
    assert answer["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert {row["name"]: row["margin"] for row in rows} == {"": "-0.03", "gpt-4o": "-0.0065"}


def test_a_name_that_is_a_formula_is_not_run_by_a_spreadsheet() -> None:
    evil = json.loads(json.dumps(reports.OPENAI_USAGE).replace("gpt-4o-2024-08-06", "=1+1"))
    read(evil)
    client = staff("finance").client()
    for address in ADDRESSES[:2]:
        text = client.get(address, DAYS | {"format": "csv"}).content.decode()
        assert "'=1+1" in text and ",=1+1" not in text


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"from": "2026-11-21", "to": DAY}, "from"),
        ({"from": "2020-01-01", "to": DAY}, "from"),
        ({"to": "yesterday"}, "to"),
        ({"by": "vendor"}, "by"),
        ({"format": "csv", "by": "vendor"}, "by"),
    ],
)
def test_odd_questions_are_answered_with_the_field(asked: dict[str, str], field: str) -> None:
    answer = staff("finance").client().get(ADDRESSES[2], asked)
    assert answer.status_code == 400
    assert json.loads(answer.content)["error"]["param"] == field


# -- The admin -----------------------------------------------------------------------------------

UPLOAD = "/admin/gateway/vendorimport/upload/"
SOURCES = "/admin/gateway/reportsource/"


def upload(client: Client, data: bytes) -> Any:
    file = SimpleUploadedFile("october.csv", data)
    return client.post(UPLOAD, {"report": file, "account": "default"})


def test_finance_uploads_a_report_and_it_is_audited() -> None:
    client = page("finance")
    assert client.get(UPLOAD).status_code == 200
    assert upload(client, reports.OPENAI_USAGE_CSV.encode()).status_code == 302
    found = VendorImport.objects.get()
    assert (found.source, found.by, found.rows) == ("october.csv", "finance@example.com", 1)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("finance@example.com", "import")
    assert entry.after["sha256"] == found.sha256
    for name in ("vendorbill", "vendorimport", "vendordifference", "vendorname", "vendorprice"):
        assert client.get(f"/admin/gateway/{name}/").status_code == 200, name


def test_a_bad_upload_says_why_and_imports_nothing() -> None:
    shown = upload(page("finance"), b"a,b\n1,2\n")
    assert shown.status_code == 200 and "Nothing was imported." in shown.content.decode()
    assert VendorImport.objects.count() == VendorBill.objects.count() == 0


def test_what_is_wrong_with_a_report_is_told_in_the_language_of_who_reads_it() -> None:
    """An upload, and what a vendor's own address answered."""
    client = page("finance")
    client.cookies["django_language"] = "vi"
    said = upload(client, b"Vendor,b\n1,2\n").content.decode()
    assert "Dòng đầu không phải tiêu đề" in said and "Vendor,b" in said
    ReportSource.objects.create(
        vendor="openai",
        problem="%(url)s answered %(status)s: %(said)s",
        problem_about={"url": "https://x.io", "status": "401", "said": "no"},
    )
    client = page("catalogue")
    client.cookies["django_language"] = "vi"
    assert "https://x.io trả lời 401: no" in client.get(SOURCES).content.decode()


@pytest.mark.parametrize("role", ["support", "catalogue"])
def test_other_roles_upload_nothing(role: str) -> None:
    assert upload(page(role), reports.OPENAI_USAGE_CSV.encode()).status_code == 403
    assert VendorImport.objects.count() == 0


def test_a_source_is_sealed_and_never_shown() -> None:
    client = page("catalogue")
    url, secret = SOURCES, "sk-admin-very-secret"
    body = {"vendor": "openai", "account": "main", "secret": secret, "active": "on"}
    assert client.post(f"{url}add/", body).status_code == 302
    made = ReportSource.objects.get()
    assert secret not in made.sealed and vault.unseal(made.sealed) == secret
    assert secret not in client.get(f"{url}{made.pk}/change/").content.decode()
    assert client.post(f"{url}{made.pk}/change/", body | {"secret": ""}).status_code == 302
    made.refresh_from_db()
    assert vault.unseal(made.sealed) == secret
    for wrong in ({"secret": ""}, {"vendor": "google", "table": ""}):
        shown = client.post(f"{url}add/", body | {"account": "other"} | wrong)
        assert shown.status_code == 200
    assert ReportSource.objects.count() == 1


def test_prices_are_entered_in_dollars() -> None:
    body = dict.fromkeys(("input", "cache_read", "cache_write_5m", "cache_write_1h"), "2.50")
    url = "/admin/gateway/vendorprice/add/"
    asked = body | {"model": "gpt-4o", "since": DAY, "output": "10", "source": "its list"}
    asked |= {"reason": "It caches nothing."}
    assert page("finance").post(url, asked).status_code == 302
    found = VendorPrice.objects.get()
    assert (found.input, found.output) == (2_500_000_000, 10_000_000_000)


# -- Commands ------------------------------------------------------------------------------------


def test_files_are_imported_together_or_not_at_all(tmp_path: Path) -> None:
    good, bad = tmp_path / "usage.json", tmp_path / "costs.csv"
    good.write_text(json.dumps(reports.OPENAI_USAGE))
    bad.write_text("nothing of use\n1\n")
    with pytest.raises(CommandError, match="costs.csv.*header.*Nothing was imported"):
        call_command("vendorbills", "import", str(good), str(bad))
    assert VendorImport.objects.count() == VendorBill.objects.count() == 0
    bad.write_text(reports.OPENAI_COSTS_CSV)
    call_command("vendorbills", "import", str(good), str(bad))
    assert VendorImport.objects.count() == 2
    with pytest.raises(CommandError, match="--fetch"):
        call_command("vendorbills", "import")
    with pytest.raises(CommandError, match="No such file"):
        call_command("vendorbills", "import", str(tmp_path / "missing"))


def test_a_new_key_seals_sources_too(settings: Settings) -> None:
    settings.CREDENTIAL_KEYS = ["first-" * 8]
    made = ReportSource.objects.create(vendor="openai", sealed=vault.seal("sk-admin-x"))
    settings.CREDENTIAL_KEYS = ["second-" * 8, "first-" * 8]
    call_command("reseal")
    settings.CREDENTIAL_KEYS = ["second-" * 8]
    made.refresh_from_db()
    assert vault.unseal(made.sealed) == "sk-admin-x"
