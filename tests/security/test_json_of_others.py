"""Whatever stands in the JSON of directories, agents and banks is answered in the words of their
door; none of it is kept where it could not be, or breaks anything."""

import json
import time
from typing import Any

import httpx
import pytest
from django.test import Client
from pytest_django import Settings

from accounts.keys import personal_tokens, scopes
from accounts.models import Membership, TeamEvent
from billing.payments.vietqr import payos, sepay
from billing.payments.vietqr.models import BankTransfer
from gateway.mcp import door
from tests.accounts.teams.test_scim import Scim, scim_of
from tests.accounts.teams.world import team_of
from tests.gateway_server import Gateway
from tests.security.test_json import DEEP
from tests.world import Person

NUL, HALF = '"a\\u0000b"', '"a\\ud800"'
STRANGE = [
    *(NUL, HALF, "9" * 5000, "-" + "9" * 30, "1e999", "NaN", "[" * 450 + "]" * 450),
    *(
        "[" * DEEP + "]" * DEEP,
        '{"a":' * 260 + "1" + "}" * 260,
        '{"a": 1, "a": 2}',
        "null",
        "true",
    ),
]


# -- A team's directory --------------------------------------------------------------------------


@pytest.fixture
def scim(alice: Person) -> Scim:
    return scim_of(team_of(alice), "acme.test")


def sent(scim: Scim, method: str, path: str, body: str) -> int:
    kind = "application/scim+json"
    answer = getattr(scim.client, method)(f"/scim/v2{path}", data=body, content_type=kind)
    assert answer.status_code < 500, (path, body[:80], answer.content[:200])
    if answer.status_code >= 400:
        assert answer.json()["detail"], body[:80]
    return int(answer.status_code)


def test_no_value_of_a_directory_breaks_anything(scim: Scim) -> None:
    pk = scim.made("carol@acme.test")
    group = scim("post", "/Groups", {"displayName": "Everybody"})[1]["id"]
    for value in STRANGE:
        for name in ("userName", "externalId", "name"):
            sent(scim, "post", "/Users", f'{{"userName": "x@acme.test", "{name}": {value}}}')
            sent(scim, "put", f"/Users/{pk}", f'{{"{name}": {value}}}')
        for name in ("externalId", "members"):
            sent(scim, "post", "/Groups", f'{{"displayName": "x", "{name}": {value}}}')
            sent(scim, "put", f"/Groups/{group}", f'{{"{name}": {value}}}')
        for path in ("", "members", "externalId"):
            step = f'{{"op": "replace", "path": "{path}", "value": {value}}}'
            for where in (f"/Users/{pk}", f"/Groups/{group}"):
                sent(scim, "patch", where, f'{{"Operations": [{step}]}}')
        sent(scim, "post", "/Users", value)


@pytest.mark.parametrize("value", [NUL, HALF, '"\\x"', '"\\ud800\\u0000"', f'"{"9" * 5000}"'])
def test_nor_does_a_filter(scim: Scim, value: str) -> None:
    for name in ("userName", "id", "externalId", "active"):
        answer = scim.client.get("/scim/v2/Users", {"filter": f"{name} eq {value}"})
        assert answer.status_code in (200, 400), (name, answer.content[:200])


def test_what_no_mail_can_be_sent_to_is_nobodys_name(scim: Scim) -> None:
    for name in ("a b@acme.test", "a\nBcc: b@acme.test", "@acme.test", "a@b@acme.test"):
        assert scim("post", "/Users", {"userName": name})[0] == 400
    assert not Membership.objects.filter(provisioned=True).exists()


# -- Agents --------------------------------------------------------------------------------------


def ask(client: httpx.Client, params: str, number: str = "1") -> httpx.Response:
    body = f'{{"jsonrpc": "2.0", "id": {number}, "method": "tools/call", "params": {params}}}'
    answer = client.post("/mcp", content=body.encode())
    assert answer.status_code < 500, (params[:80], answer.text[:200])
    assert "Something is broken" not in answer.text, (params[:80], answer.text[:300])
    return answer


def test_no_value_of_an_agent_breaks_anything(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "BY_TOKEN", (10_000, 60))
    raw = personal_tokens.mint(alice.user, "agent", scopes.OF_TOKENS)[1]
    accepts = "application/json, text/event-stream"
    headers = {"Content-Type": "application/json", "Accept": accepts}
    with gateway.http() as client:
        client.headers.update({**headers, "Authorization": f"Bearer {raw}"})
        for value in STRANGE:
            ask(client, f'{{"name": {value}, "arguments": {{}}}}')
            ask(client, f'{{"name": "balance", "arguments": {{"x": {value}}}}}')
            ask(client, f'{{"name": "balance", "arguments": {value}}}')
            for name in ("input_tokens", "model", "request"):
                ask(client, f'{{"name": "estimate_cost", "arguments": {{"{name}": {value}}}}}')
            ask(client, f'{{"name": "usage", "arguments": {{"first_day": {value}}}}}')
            ask(client, f'{{"name": "revoke_key", "arguments": {{"key_id": {value}}}}}')
            ask(client, f'{{"name": "make_key", "arguments": {{"name": {value}}}}}')
            ask(client, '{"name": "balance", "arguments": {}}', value)
        good = ask(client, '{"name": "balance", "arguments": {}}').json()
    assert good["result"]["isError"] is False
    assert TeamEvent.objects.filter(action="tool_called", subject="balance").exists()


# -- Banks ---------------------------------------------------------------------------------------


@pytest.fixture
def banks(settings: Settings, db: None) -> None:
    settings.VIETQR_BANK, settings.VIETQR_ACCOUNT = "970422", "1"
    settings.SEPAY_WEBHOOK_SECRET = "whisper"
    settings.PAYOS_CLIENT_ID = settings.PAYOS_API_KEY = settings.PAYOS_CHECKSUM_KEY = "sums"


def called(gateway: str, body: bytes, **headers: str) -> int:
    answer = Client().post(
        f"/webhooks/{gateway}", body, content_type="application/json", headers=headers
    )
    assert answer.status_code < 500, (body[:80], answer.content[:200])
    return answer.status_code


def of_sepay(text: str) -> int:
    body, stamp = text.encode(), str(int(time.time()))
    signed = sepay.signature("whisper", stamp, body)
    given = {"X-SePay-Timestamp": stamp, "X-SePay-Signature": signed}
    return called("sepay", body, **given)


@pytest.mark.parametrize("value", STRANGE)
def test_no_value_of_a_bank_breaks_anything(banks: None, value: str) -> None:
    called("payos", value.encode())  # unsigned: anybody can send it
    called("payos", f'{{"data": {{"a": {value}}}, "signature": {value}}}'.encode())
    whole: dict[str, Any] = {
        **{"id": 1, "transferType": "in", "transferAmount": 10, "accountNumber": "1"},
        **{"transactionDate": "2026-11-30 10:00:00", "content": "x", "referenceCode": "y"},
    }
    for name in whole:
        of_sepay(json.dumps({**whole, name: "@"}).replace('"@"', value))


def test_a_transfer_with_a_nul_in_it_is_kept(banks: None) -> None:
    whole = {
        **{"id": 7, "transferType": "in", "transferAmount": 10, "accountNumber": "1"},
        **{"transactionDate": "2026-11-30 10:00:00", "content": "a\0b", "referenceCode": "z\0"},
    }
    assert of_sepay(json.dumps(whole)) == 200
    found = BankTransfer.objects.get()
    assert (found.content, found.reference, found.raw["content"]) == ("ab", "z", "ab")
    data = {
        **{"orderCode": 1, "amount": 10, "description": "c\0d", "accountNumber": "2"},
        **{"reference": "r", "transactionDateTime": "2026-11-30 10:00:00", "paymentLinkId": "l"},
    }
    body = {"data": data, "signature": payos.signature(data, "sums")}
    assert called("payos", json.dumps(body).encode()) == 200
    assert set(BankTransfer.objects.values_list("content", flat=True)) == {"ab", "cd"}
