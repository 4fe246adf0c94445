"""Every vendor's report, in every shape it comes in: what becomes of it, and what is refused."""

import json
from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from gateway.catalogue.seed import seed
from gateway.reconciliation.vendors import comparison, intake
from gateway.reconciliation.vendors.formats.report import BadReport
from gateway.reconciliation.vendors.models import VendorBill, VendorImport, VendorName
from gateway.vendors.models import Credential, Provider
from tests.gateway.reconciliation.vendors import reports
from tests.gateway.reconciliation.vendors.reports import DAY

ON = date.fromisoformat(DAY)
COLUMNS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "calls")


@pytest.fixture(autouse=True)
def _catalogue(db: None) -> None:
    seed()


def read(report: Any, name: str = "report") -> VendorImport:
    data = report if isinstance(report, str) else json.dumps(report)
    return intake.read_file(data.encode(), name=name, by="tests")


def numbers(**wanted: Any) -> tuple[int, ...]:
    found = VendorBill.objects.get(**wanted)
    return tuple(getattr(found, name) for name in COLUMNS)


CLAUDE = (3000, 400, 1000, 2000, 1000, 20)
GPT = (200, 800, 0, 0, 500, 0)
GEMINI = (2000, 400, 0, 0, 3000, 0)


@pytest.mark.parametrize(
    ("report", "vendor", "expected"),
    [
        (reports.ANTHROPIC_USAGE, "anthropic", CLAUDE),
        (reports.ANTHROPIC_USAGE_CSV, "anthropic", CLAUDE),
        (reports.OPENAI_USAGE, "openai", GPT),
        (reports.OPENAI_USAGE_CSV, "openai", GPT),
    ],
    ids=["anthropic", "anthropic csv", "openai", "openai csv"],
)
def test_usage_is_told_by_key_and_model_and_day(
    report: Any, vendor: str, expected: tuple[int, ...]
) -> None:
    found = read(report)
    assert (found.vendor, found.kind, found.rows, found.changed) == (vendor, "usage", 1, 1)
    assert found.first_day == ON
    assert numbers(vendor=vendor, day=ON) == expected
    bill = VendorBill.objects.get()
    assert bill.key and bill.scope and bill.vendor_model and bill.dollars is None


@pytest.mark.parametrize("report", [reports.GOOGLE_ROWS, reports.GOOGLE_CSV], ids=["json", "csv"])
def test_googles_export_tells_usage_and_costs_by_sku(report: Any) -> None:
    found = read(report)
    assert (found.vendor, found.kind, found.rows) == ("google", "both", 2)
    assert numbers(vendor_model="gemini-2.5-pro") == GEMINI
    bill = VendorBill.objects.get(vendor_model="gemini-2.5-pro")
    assert bill.dollars == 32_100_000 and bill.scope == "my-project"  # less the credit
    assert bill.costs == {
        "input": 2_500_000,
        "cache_read": 100_000,
        "output": 30_000_000,
        "other": -500_000,
    }
    assert VendorBill.objects.get(vendor_model="").costs == {"calls": 35_000_000}
    assert VendorBill.objects.get(vendor_model="").calls == 1


def test_googles_export_in_json_lines() -> None:
    lines = "\n".join(json.dumps(row) for row in reports.GOOGLE_ROWS)
    assert read(lines).rows == 2


def test_another_currency_is_dollars_at_the_exports_rate() -> None:
    rows = deepcopy(reports.GOOGLE_ROWS[2:3])
    rows[0] |= {"currency": "VND", "currency_conversion_rate": "25000", "cost": "250"}
    read(rows)
    assert VendorBill.objects.get().dollars == 10_000_000


def test_anthropics_amounts_are_cents() -> None:
    read(reports.ANTHROPIC_COSTS)
    bill = VendorBill.objects.exclude(vendor_model="").get()
    assert bill.costs == {
        "input": 1_237_891_200,
        "output": 15_000_000,
        "cache_read": 120_000,
        "cache_write_5m": 3_750_000,
        "cache_write_1h": 12_000_000,
    }
    assert bill.dollars == sum(bill.costs.values()) and bill.key == ""
    assert VendorBill.objects.get(vendor_model="").costs == {"calls": 200_000_000}


def test_openais_amounts_are_dollars_by_line_item() -> None:
    read(reports.OPENAI_COSTS)
    bill = VendorBill.objects.exclude(vendor_model="").get()
    assert bill.costs == {"input": 500_000, "cache_read": 1_000_000, "output": 5_000_000}
    assert VendorBill.objects.get(vendor_model="").costs == {"calls": 30_000_000}
    read(reports.OPENAI_COSTS_CSV)
    bill.refresh_from_db()
    assert bill.costs == {"output": 895_874_000} and bill.dollars == 895_874_000


def test_usage_and_costs_come_together_under_our_names() -> None:
    """The vendor has ids, snapshots and display names; the comparison has one place for all."""
    for report in (
        reports.ANTHROPIC_USAGE_CSV,
        reports.ANTHROPIC_COSTS_CSV,
        reports.OPENAI_USAGE,
        reports.OPENAI_COSTS,
        reports.GOOGLE_CSV,
    ):
        read(report)
    found = {each.place.model: each for each in comparison.differences(ON, ON)}
    assert found.keys() == {"claude-sonnet-4", "gpt-4o", "gemini-2.5-pro", ""}
    assert found["claude-sonnet-4"].billed == 70_000_000
    assert found["gpt-4o"].billed == 6_500_000
    assert all(each.rest == each.billed for each in found.values())  # none of it is in our books


# -- Again ---------------------------------------------------------------------------------------

EVERY = {
    name: getattr(reports, name)
    for name in (
        "ANTHROPIC_USAGE",
        "ANTHROPIC_COSTS",
        "OPENAI_USAGE",
        "OPENAI_COSTS",
        "GOOGLE_ROWS",
        "ANTHROPIC_USAGE_CSV",
        "ANTHROPIC_COSTS_CSV",
        "OPENAI_USAGE_CSV",
        "OPENAI_COSTS_CSV",
        "GOOGLE_CSV",
    )
}


def everything() -> list[dict[str, Any]]:
    columns = [f.name for f in VendorBill._meta.fields if not f.name.endswith("_import")]
    return list(VendorBill.objects.order_by("pk").values(*columns))


@pytest.mark.parametrize("name", EVERY)
def test_the_same_report_again_changes_nothing_and_is_remembered(name: str) -> None:
    first = read(EVERY[name], "monday.json")
    before = everything()
    again = read(EVERY[name], "tuesday.json")
    assert everything() == before and before
    assert (first.changed, again.changed) == (len(before), 0)
    assert first.sha256 == again.sha256
    told = VendorImport.objects.order_by("pk").values_list("source", "by")
    assert list(told) == [("monday.json", "tests"), ("tuesday.json", "tests")]


def test_a_newer_report_replaces_the_numbers_it_tells() -> None:
    read(reports.OPENAI_USAGE)
    read(reports.OPENAI_COSTS)
    newer = deepcopy(reports.OPENAI_USAGE)
    newer["data"][0]["results"][0]["output_tokens"] = 700
    assert read(newer).changed == 1
    bill = VendorBill.objects.get(key="key_one")
    assert bill.output == 700 and VendorBill.objects.count() == 3
    assert VendorBill.objects.get(key="", vendor_model__startswith="gpt").dollars == 6_500_000


def test_another_keys_report_leaves_this_ones_alone() -> None:
    read(reports.OPENAI_USAGE)
    other = deepcopy(reports.OPENAI_USAGE)
    other["data"][0]["results"][0]["api_key_id"] = "key_two"
    read(other)
    assert numbers(key="key_one") == numbers(key="key_two") == GPT


def test_an_export_by_names_does_not_count_twice_what_came_by_ids() -> None:
    read(reports.ANTHROPIC_USAGE)
    read(reports.ANTHROPIC_USAGE_CSV)
    (found,) = comparison.differences(ON, ON)
    assert found.vendor_tokens["input"] == 3000
    read(reports.ANTHROPIC_USAGE)
    (found,) = comparison.differences(ON, ON)
    assert found.vendor_tokens["input"] == 3000


# -- Refused -------------------------------------------------------------------------------------


def without(report: dict[str, Any], name: str) -> dict[str, Any]:
    changed = deepcopy(report)
    for result in changed["data"][0]["results"]:
        del result[name]
    return changed


def with_(report: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changed = deepcopy(report)
    changed["data"][0]["results"][-1] |= changes
    return changed


def wide(report: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(report)
    changed["data"][0]["ending_at"] = "2026-11-27T00:00:00Z"
    return changed


BAD = {
    "empty": ("", "empty"),
    "not text": ("\x00\x01", "header"),
    "half of it": (json.dumps(reports.OPENAI_USAGE)[:300], "not JSON"),
    "a list of numbers": ("[1, 2]", "pages are objects"),
    "an error": ({"error": {"message": "no"}}, "data"),
    "no days": ({"data": [], "has_more": False}, "no days"),
    "another header": ("a,b,c\n1,2,3\n", "header"),
    "only a header": (reports.OPENAI_COSTS_CSV.splitlines()[0], "no rows"),
    "a short line": (reports.ANTHROPIC_USAGE_CSV + "2026-11-20,claude\n", "Line 3"),
    "more pages": (reports.OPENAI_USAGE | {"has_more": True, "next_page": "p2"}, "all pages"),
    "no model": (with_(reports.OPENAI_USAGE, model=None), "group by model"),
    "claude without model": (with_(reports.ANTHROPIC_USAGE, model=None), "group by model"),
    "no amount": (without(reports.OPENAI_COSTS, "amount"), "amount"),
    "stored vectors": (
        with_(reports.OPENAI_USAGE, object="organization.usage.vector_stores.result"), "kind",
    ),
    "euros": (with_(reports.ANTHROPIC_COSTS, currency="EUR"), "EUR"),
    "negative tokens": (with_(reports.ANTHROPIC_USAGE, output_tokens=-1), "-1"),
    "half a token": (with_(reports.OPENAI_USAGE, output_tokens=1.5), "1.5"),
    "words": (with_(reports.ANTHROPIC_COSTS, amount="lots"), "lots"),
    "not a number": (with_(reports.ANTHROPIC_COSTS, amount="NaN"), "NaN"),
    "a week": (wide(reports.ANTHROPIC_USAGE), "not a day"),
    "more cached than read": (with_(reports.OPENAI_USAGE, input_cached_tokens=1001), "1001"),
    "no gemini": (reports.GOOGLE_ROWS[-1:], "Gemini"),
    "too deep": ("[" * 100_000 + "]" * 100_000, "no report"),
    "more than there is": (with_(reports.ANTHROPIC_USAGE, output_tokens=10**40), "not a count"),
    "endless": (with_(reports.ANTHROPIC_USAGE, output_tokens="Infinity"), "not a count"),
    "a signal": (with_(reports.ANTHROPIC_USAGE, output_tokens="sNaN"), "not a count"),
    "all the money": (with_(reports.ANTHROPIC_COSTS, amount="1e30"), "not an amount"),
    "a NUL": (with_(reports.ANTHROPIC_USAGE, model="claude\x00"), "NUL"),
    "before time": (
        {"data": [reports.ANTHROPIC_USAGE["data"][0] | {"starting_at": "0001-01-01T00:00+14:00"}]},
        "not a moment",
    ),
    "no rate": (
        [reports.GOOGLE_ROWS[0] | {"currency": "VND", "currency_conversion_rate": 0}], "rate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_says_why_and_imports_nothing(name: str) -> None:
    report, why = BAD[name]
    with pytest.raises(BadReport, match=why):
        read(report)
    assert VendorBill.objects.count() == VendorImport.objects.count() == 0


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(BadReport, match="UTF-8"):
        intake.read_file(b"\xff\xfe{", name="x", by="tests")


# -- Names ---------------------------------------------------------------------------------------


def test_costs_of_a_project_are_shared_out_to_its_keys_to_the_nano_dollar() -> None:
    provider = Provider.objects.create(name="mine", vendor="openai", base_url="https://a.example")
    for name in ("one", "two", "three"):
        made = Credential.objects.create(provider=provider, label=name)
        VendorName.objects.create(vendor="openai", name=f"key_{name}", credential=made)
    usage = deepcopy(reports.OPENAI_USAGE)
    (result,) = usage["data"][0]["results"]
    usage["data"][0]["results"] = [
        result | {"api_key_id": f"key_{n}"} for n in ("one", "two", "three")
    ]
    read(usage)
    costs = deepcopy(reports.OPENAI_COSTS)
    costs["data"][0]["results"] = costs["data"][0]["results"][:3]
    read(costs)
    found = comparison.differences(ON, ON)
    assert [each.place.credential for each in found] == ["mine/one", "mine/three", "mine/two"]
    assert sum(each.billed for each in found) == 6_500_000
    assert max(e.billed for e in found) - min(e.billed for e in found) <= 3


def test_a_key_that_is_not_mapped_is_nobodys_until_it_is() -> None:
    provider = Provider.objects.create(name="mine", vendor="openai", base_url="https://a.example")
    one, _two = (Credential.objects.create(provider=provider, label=n) for n in ("one", "two"))
    from django.test import override_settings

    with override_settings(SANDBOX=False):
        read(reports.OPENAI_USAGE)
        (found,) = comparison.differences(ON, ON)
        assert found.place.credential == ""
        VendorName.objects.create(vendor="openai", name="key_one", credential=one)
        (found,) = comparison.differences(ON, ON)
        assert found.place.credential == "mine/one"


def test_an_alias_of_ours_does_not_make_two_models_of_a_vendors_one() -> None:
    """gpt-4.1-mini is served by gpt-4o-mini here; a bill of the real one is something else."""
    other = with_(reports.OPENAI_USAGE, model="gpt-4.1-mini-2025-04-14")
    read(other)
    (found,) = comparison.differences(ON, ON)
    assert found.place.model == "gpt-4.1-mini-2025-04-14"
