"""Asking the vendors: as they document it, again after what passes, and never half."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.reconciliation.vendors import asking, daily_round, report_fetching
from gateway.reconciliation.vendors.asking import Refused
from gateway.reconciliation.vendors.comparison import differences
from gateway.reconciliation.vendors.formats.openai import USAGE
from gateway.reconciliation.vendors.models import ReportSource, VendorBill, VendorImport
from gateway.vendors import vault
from tests.gateway.plane.test_translation import ask
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; how long somebody would have."""
    made: list[float] = []
    monkeypatch.setattr(asking, "pause", made.append)
    return made


def source(at: str, vendor: str, secret: str, **fields: Any) -> ReportSource:
    return ReportSource.objects.create(
        vendor=vendor, sealed=vault.seal(secret), base_url=at, **fields
    )


@pytest.fixture(scope="module")
def service_account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"client_email": "bills@sandbox.example", "private_key": pem}
    return account | {"project_id": "sandbox-project"}


def test_googles_export_is_asked_of_bigquery(
    gateway: Gateway, alice: Person, service_account: dict[str, str]
) -> None:
    fund(alice, "10")
    for model in ("gemini-2.5-pro", "gemini-3-flash-preview", "gemini-3.1-pro-preview"):
        assert ask(gateway, alice, "openai_chat", model, "Hello").status_code == 200
    gateway.books()
    url = gateway.vendors.url
    secret = orjson.dumps(service_account | {"token_uri": f"{url}/bigquery/token"}).decode()
    made = source(url, "google", secret, table="sandbox-project.billing.gcp_billing_export_v1_X")
    (found,) = report_fetching.fetch(made, today(), today(), by="tests")
    assert (found.kind, found.rows) == ("both", 3)  # in pages of four of six rows
    compared = differences(today(), today())
    assert [each.place.model for each in compared] == [
        "gemini-2.5-pro", "gemini-3-flash-preview", "gemini-3.1-pro-preview",
    ]  # fmt: skip
    for each in compared:
        assert each.rest == 0 and each.parts == {"charged": each.billed}
        assert each.vendor_tokens == each.booked_tokens and each.rates == "bill"


@pytest.mark.parametrize(
    ("secret", "table", "why"),
    [
        ("not json", "a.b.c", "service account"),
        ("{}", "a.b.c", "service account"),
        ("{}", "a.b.c`; DROP TABLE x", "project.dataset.table"),
    ],
)
def test_a_wrong_source_at_google_says_what_is_wrong(
    db: None, secret: str, table: str, why: str
) -> None:
    made = source("http://127.0.0.1:9", "google", secret, table=table)
    with pytest.raises(ValueError, match=why):
        report_fetching.fetch(made, today(), today(), by="tests")
    made.refresh_from_db()
    assert why in made.problem and VendorImport.objects.count() == 0


@pytest.mark.parametrize(
    ("vendor", "secret"),
    [("anthropic", "sk-ant-api03-not-admin"), ("openai", "sk-proj-not-admin")],
)
def test_an_ordinary_key_is_refused_and_staff_see_why(
    vendors: Vendors, db: None, pauses: list[float], vendor: str, secret: str
) -> None:
    made = source(vendors.url, vendor, secret)
    with pytest.raises(Refused, match="401"):
        report_fetching.fetch(made, today(), today(), by="tests")
    made.refresh_from_db()
    said = made.problem % made.problem_about
    assert "answered 401" in said and secret not in said
    assert pauses == [] and VendorImport.objects.count() == 0  # that would not pass


PATHS = {
    "/v1/organizations/usage_report/messages": ("starting_at", "2026-11-01T00:00:00Z", 31),
    "/v1/organizations/cost_report": ("starting_at", "2026-11-01T00:00:00Z", 31),
    **{f"/v1/organization/usage/{kind.name}": ("start_time", "1793491200", 31) for kind in USAGE},
    "/v1/organization/costs": ("start_time", "1793491200", 180),
}


@pytest.mark.parametrize("path", PATHS)
def test_the_sandbox_refuses_what_the_vendors_refuse(vendors: Vendors, path: str) -> None:
    begins, moment, most = PATHS[path]
    headers = {
        "x-api-key": "sk-ant-admin01-x",
        "anthropic-version": "2023-06-01",
        "authorization": "Bearer sk-admin-x",
    }

    def status(**params: str) -> int:
        return httpx.get(vendors.url + path, params=params, headers=headers).status_code

    assert status(**{begins: moment}) == 200
    assert status() == 400
    assert status(**{begins: "soon"}) == 400
    assert status(**{begins: moment, "group_by": "colour"}) == 400
    assert status(**{begins: moment, "limit": str(most)}) == 200
    assert status(**{begins: moment, "limit": str(most + 1)}) == 400
    assert status(**{begins: moment, "page": "elsewhere"}) == 400
    assert status(**{begins: moment, "bucket_width": "1y"}) == 400
    assert httpx.get(vendors.url + path, params={begins: moment}).status_code == 401


# -- A vendor that stumbles ----------------------------------------------------------------------

EMPTY = {"data": [], "has_more": False, "next_page": None}


class Stumbling:
    """A transport that gives these answers in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]
        real = httpx.Client
        transport = httpx.MockTransport(self._answer)
        monkeypatch.setattr(httpx, "Client", lambda **_: real(transport=transport))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)


def test_what_passes_is_asked_again(
    db: None, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    there = Stumbling(
        monkeypatch,
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.Response(503),
        httpx.ConnectError("no route"),
        EMPTY,
    )
    made = source("", "openai", "sk-admin-x")
    imports = report_fetching.fetch(made, today(), today(), by="tests")
    assert [found.kind for found in imports] == ["usage", "costs"]
    assert pauses == [7.0, 4.0, 8.0] and len(there.asked) == 3 + len(USAGE) + 1
    assert str(there.asked[0].url).startswith("https://api.openai.com/v1/organization/usage/")
    assert there.asked[0].url.params.get_list("group_by") == ["project_id", "api_key_id", "model"]
    made.refresh_from_db()
    assert made.fetched_at is not None and made.problem == ""


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="broken"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        {"data": [], "has_more": True},
        {"data": [], "has_more": True, "next_page": "again"},
        {"data": [{"start_time": 1, "end_time": 2, "results": [{"object": "what"}]}]},
        httpx.ReadTimeout("too slow"),
    ],
    ids=["down", "html", "list", "no next", "no end", "odd", "silent"],
)
def test_half_a_report_is_no_report(
    db: None, monkeypatch: pytest.MonkeyPatch, pauses: list[float], answer: Any
) -> None:
    """Usage came; costs never did."""
    Stumbling(monkeypatch, EMPTY, answer)
    made = source("", "openai", "sk-admin-x")
    with pytest.raises((Refused, ValueError)):
        report_fetching.fetch(made, today(), today(), by="tests")
    made.refresh_from_db()
    assert made.problem and made.fetched_at is None
    assert VendorImport.objects.count() == VendorBill.objects.count() == 0


def test_one_vendors_failure_is_not_anothers(
    vendors: Vendors, db: None, pauses: list[float]
) -> None:
    source(vendors.url, "anthropic", "sk-ant-wrong")
    source(vendors.url, "openai", "sk-admin-right")
    imported, problems = daily_round.fetch_all(today(), today(), by="tests")
    assert imported == 2 and len(problems) == 1 and "anthropic" in problems[0]


def test_what_a_complete_report_no_longer_names_is_gone(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert ask(gateway, alice, "openai_chat", "gpt-4o", "Hello").status_code == 200
    gateway.books()
    made = source(gateway.vendors.url, "openai", "sk-admin-x")
    report_fetching.fetch(made, today(), today(), by="tests")
    assert sum(VendorBill.objects.values_list("output", flat=True)) > 0
    gateway.vendors.sandbox.meter.clear()
    report_fetching.fetch(made, today() - timedelta(days=1), today(), by="tests")
    assert set(VendorBill.objects.values_list("output", flat=True)) == {0}
    (found,) = differences(today(), today())
    assert found.billed == 0 and found.rest < 0
