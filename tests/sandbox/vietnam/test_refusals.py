"""SePay and payOS, played: what the real ones refuse they refuse."""

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from sandbox import payos, sepay
from sandbox.payos.app import Channel
from sandbox.sepay.invoice_lint import ACCOUNT


@pytest.fixture
def bank() -> Iterator[TestClient]:
    with TestClient(sepay.create_app(calls_a_second=3)) as client:
        yield client


@pytest.fixture
def office() -> Iterator[TestClient]:
    with TestClient(sepay.create_app()) as client:
        pair = base64.b64encode(b"einvoice:einvoice-secret").decode()
        answer = client.post("/v1/token", headers={"Authorization": f"Basic {pair}"})
        token = answer.json()["data"]["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_the_list_of_transfers_is_guarded(bank: TestClient) -> None:
    assert bank.get("/v2/transactions").status_code == 401
    bank.headers["Authorization"] = "Bearer sepay-token"
    for wrong in ({"per_page": "101"}, {"page": "0"}, {"transaction_date_from": "yesterday"}):
        assert bank.get("/v2/transactions", params=wrong).status_code == 422
    limited = bank.get("/v2/transactions")
    assert limited.status_code == 429 and limited.headers["Retry-After"] == "1"
    assert bank.post("/__control/transfer", json={"qr": "000201"}).status_code == 422
    assert bank.post("/__control/transfer", json={"amount": 1.5}).status_code == 422


def invoice(**other: Any) -> dict[str, Any]:
    line = {
        **{"line_number": 1, "line_type": 1, "item_name": "x", "quantity": 1},
        **{"unit_price": 100_000, "tax_rate": 10, "tax_amount": 10_000},
    }
    return {
        **{"reference_code": "A", "template_code": "1", "invoice_series": "C26THT"},
        **{"issued_date": "2026-01-01 08:00:00", "currency": "VND"},
        **{"provider_account_id": ACCOUNT["id"], "buyer": {"name": "Bob"}, "items": [line]},
        **{"is_draft": True},
        **other,
    }


def make(office: TestClient, path: str = "create", **other: Any) -> int:
    """Have one made and issued; the status of the first answer."""
    answer = office.post(f"/v1/invoices/{path}", json=invoice(**other))
    if answer.status_code == 200:
        code = answer.json()["data"]["tracking_code"]
        for _ in range(2):
            office.get(f"/v1/invoices/create/check/{code}")
        reference = {"reference_code": other.get("reference_code", "A")}
        issued = office.post("/v1/invoices/issue", json=reference).json()
        for _ in range(2):
            office.get(f"/v1/invoices/issue/check/{issued['data']['tracking_code']}")
    return answer.status_code


@pytest.mark.parametrize(
    "wrong",
    [
        {"issued_date": "2099-01-01 08:00:00"},
        {"issued_date": "1 January"},
        {"invoice_series": "X"},
        {"currency": "USD"},
        {"provider_account_id": "x"},
        {"buyer": {"name": " "}},
        {"buyer": {"name": "Bob", "tax_code": "12"}},
        {"items": []},
        {"items": [{**invoice()["items"][0], "tax_rate": 7}]},
        {"items": [{**invoice()["items"][0], "tax_amount": 9_000}]},
        {"items": [{**invoice()["items"][0], "unit_price": -1}]},
        {"is_draft": "yes"},
    ],
)
def test_an_invoice_that_is_wrong_is_refused(office: TestClient, wrong: dict[str, Any]) -> None:
    assert make(office, **wrong) == 400


def test_invoices_follow_each_other_as_the_law_says(office: TestClient) -> None:
    about = {"original_invoice_reference_code": "A", "reason": "x"}
    assert make(office, "replace", reference_code="B", **about) == 404, "there is none yet"
    assert make(office) == 200
    assert make(office) == 400, "it exists"
    assert office.get("/v1/invoices/A").json()["data"]["status"] == "issued"
    less = {"adjustment_type": "decrease"}
    assert make(office, "adjust", reference_code="C", **about | {"reason": ""}, **less) == 400
    assert make(office, "adjust", reference_code="C", **about) == 400, "of which type?"
    twice = [{**invoice()["items"][0], "quantity": 2, "tax_amount": 20_000}]
    assert make(office, "adjust", reference_code="C", items=twice, **about, **less) == 400
    assert make(office, "replace", reference_code="B", **about) == 200
    assert office.get("/v1/invoices/A").json()["data"]["status"] == "replaced"
    assert make(office, "replace", reference_code="D", **about) == 400
    assert make(office, "adjust", reference_code="D", **about, **less) == 400
    of_b = about | {"original_invoice_reference_code": "B"}
    assert make(office, "adjust", reference_code="E", **of_b, **less) == 200
    assert make(office, "adjust", reference_code="F", **of_b, **less) == 400, "nothing is left"
    assert office.get("/v1/invoices/B/download", params={"type": "doc"}).status_code == 400
    office.headers["Authorization"] = "Bearer x"
    assert office.get("/v1/invoices/A").status_code == 401


def order(channel: Channel, **other: Any) -> dict[str, Any]:
    signed = {
        **{"orderCode": 1, "amount": 1_000, "description": "HT2345678"},
        **{"cancelUrl": "https://x", "returnUrl": "https://x", **other},
    }
    names = ("amount", "cancelUrl", "description", "orderCode", "returnUrl")
    signature = channel.sign({name: signed[name] for name in names})
    return {"signature": signature, **signed}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"signature": "0" * 64}, "201"),
        ({"amount": 0}, "20"),
        ({"amount": 1.5}, "20"),
        ({"orderCode": "1"}, "20"),
        ({"description": "x" * 26}, "20"),
        ({"expiredAt": int(time.time()) - 60}, "20"),
    ],
)
def test_an_order_that_is_wrong_is_refused(wrong: dict[str, Any], code: str) -> None:
    app = payos.create_app()
    with TestClient(app) as client:
        client.headers.update({"x-client-id": "payos-client", "x-api-key": "payos-key"})
        answer = client.post("/v2/payment-requests", json=order(app.state.channel, **wrong))
        assert answer.json()["code"] == code


def test_an_order_is_made_once_and_only_for_whom_it_knows() -> None:
    app = payos.create_app()
    with TestClient(app) as client:
        assert client.post("/v2/payment-requests", json={}).status_code == 401
        client.headers.update({"x-client-id": "payos-client", "x-api-key": "payos-key"})
        made = client.post("/v2/payment-requests", json=order(app.state.channel)).json()
        assert made["code"] == "00"
        assert made["signature"] == app.state.channel.sign(made["data"])
        again = client.post("/v2/payment-requests", json=order(app.state.channel)).json()
        assert again["code"] == "231"
        assert client.get("/v2/payment-requests/2").json()["code"] == "101"
