"""A transfer from Vietnam: on the balance if it fits its order exactly, whoever tells of it."""

import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments.vietqr import payload, rates, settling
from billing.payments.vietqr.heard import CALLBACK
from billing.payments.vietqr.models import BankOrder, BankTransfer
from billing.payments.vietqr.sepay import heard
from hontoni.money import DOLLAR, nanos
from sandbox.bank_codes import scan
from sandbox.payos.app import PROBE
from tests.billing.payments.vietqr.conftest import RATE, WHOLE, Vietnam, balance, waiting


def test_a_code_is_what_banks_read() -> None:
    made = payload.payload(
        bank="970415", account="0011001932418", dong=120_000, content="ung ho lu lut"
    )
    assert made == (  # of a published generator's documentation
        "00020101021238570010A00000072701270006970415011300110019324180208QRIBFTTA530370454061200"
        "005802VN62170813ung ho lu lut6304C15C"
    )
    assert scan(made) == ("970415", "0011001932418", 120_000, "ung ho lu lut")
    for wrong in (made[:-1] + "D", made.replace("120000", "120001")):
        with pytest.raises(ValueError):
            scan(wrong)


def test_bob_scans_pays_and_has_the_dollars_he_ordered(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob)
    assert (order.dong, order.rate, order.amount) == (658_750, RATE, nanos("25"))
    assert scan(order.qr) == ("970436", order.account, order.dong, order.code)
    assert vietnam.scan(order) == [200]
    assert vietnam.state(order) == "paid" and balance(bob) == nanos("25")
    booked = Transfer.objects.get(kind="bank_topup")
    assert booked.debit.code == "bank:clearing" and booked.ref["dong"] == order.dong
    invoice = Invoice.objects.get()
    assert invoice.total == nanos("25") and f"{order.dong} VND at {RATE} VND" in invoice.paid_by
    receipt = Notice.objects.get(kind="topup_receipt")
    assert (receipt.facts["dong"], receipt.facts["rate"]) == (order.dong, RATE)
    rates.set_by("staff@example.com", 30_000)
    order.refresh_from_db()
    assert order.rate == RATE, "what was ordered keeps its rate"


def test_an_order_in_dong_buys_what_they_are_worth(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob, "500000", currency="VND")
    assert order.dong == 500_000 and order.amount == 500_000 * DOLLAR // RATE
    vietnam.scan(order)
    assert balance(bob) == order.amount
    half = vietnam.api(bob).post(WHOLE, {"amount": "100000.50", "currency": "VND"})
    assert half.status_code == 400
    assert vietnam.api(bob).post(WHOLE, {"amount": "1000", "currency": "VND"}).status_code == 400


@pytest.mark.parametrize("gateway", ["sepay", "payos"])
def test_whoever_tells_of_it_and_however_often_it_is_booked_once(
    vietnam: Vietnam, bob: User, gateway: str
) -> None:
    order = vietnam.order(bob, gateway=gateway)
    pay = vietnam.scan if gateway == "sepay" else vietnam.pay
    assert pay(order, times=3) == [200, 200, 200]
    vietnam.poll()
    vietnam.poll()
    assert balance(bob) == nanos("25") and BankTransfer.objects.count() == 1


@pytest.mark.parametrize("gateway", ["sepay", "payos"])
def test_the_list_is_the_net_under_the_callbacks(
    vietnam: Vietnam, bob: User, gateway: str
) -> None:
    order = vietnam.order(bob, gateway=gateway)
    pay = vietnam.scan if gateway == "sepay" else vietnam.pay
    pay(order, quiet=True)
    assert vietnam.state(order) == "open" and balance(bob) == 0
    vietnam.poll()
    assert vietnam.state(order) == "paid" and balance(bob) == nanos("25")
    assert BankTransfer.objects.get().heard_by == "poll"


def test_one_transfer_that_both_gateways_tell_of_is_one(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob, gateway="payos")
    seen: dict[str, Any] = {"reference": "FT26334000001", "account": order.account}
    vietnam.pay(order, **seen)
    vietnam.transfer(amount=order.dong, content=order.content, **seen)
    assert balance(bob) == nanos("25") and BankTransfer.objects.count() == 1


def test_a_reference_that_a_bank_gives_twice_hides_no_money(vietnam: Vietnam, bob: User) -> None:
    one, other = vietnam.order(bob), vietnam.order(bob, "50")
    for _ in range(2):
        for order in (one, other):
            body = json.dumps(callback(order, referenceCode="FT9", id=order.dong)).encode()
            assert vietnam.hear("sepay", body, sign(body)) == 200
    assert balance(bob) == one.amount + other.amount
    assert {each.reference for each in BankTransfer.objects.all()} == {"FT9"}
    assert BankTransfer.objects.count() == 2


def test_a_transfer_that_both_tell_of_differently_is_never_credited_twice(
    vietnam: Vietnam, bob: User
) -> None:
    order = vietnam.order(bob, gateway="payos")
    vietnam.pay(order)
    vietnam.transfer(amount=order.dong, content=order.content)
    assert balance(bob) == nanos("25") and waiting() == [("double", order.dong)]


@pytest.mark.parametrize("gateway", ["sepay", "payos"])
@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"amount": 658_749}, "amount"),
        ({"amount": 658_751}, "amount"),
        ({"amount": 1}, "amount"),
        ({"at": "2099-01-01 00:00:00"}, "late"),
    ],
)
def test_what_does_not_fit_waits_for_a_person(
    vietnam: Vietnam, bob: User, gateway: str, wrong: dict[str, Any], problem: str
) -> None:
    order = vietnam.order(bob, gateway=gateway)
    if gateway == "payos":
        vietnam.pay(order, **wrong)
    else:
        vietnam.transfer(**{"amount": order.dong, "content": order.code, **wrong})
    vietnam.poll()
    assert balance(bob) == 0 and waiting() == [(problem, wrong.get("amount", order.dong))]
    assert vietnam.state(order) == "open", "it can still be paid rightly"


def test_money_of_nobody_knows_whom_is_kept_too(vietnam: Vietnam, alice: User, bob: User) -> None:
    one, other = vietnam.order(alice), vietnam.order(bob)
    vietnam.transfer(amount=70_000, content="tien nha")
    vietnam.transfer(amount=one.dong, content=f"{one.code} {other.code}")
    vietnam.transfer(amount=one.dong, content=one.code, account="9999")
    vietnam.transfer(amount=one.dong, content=one.code, type="out")
    vietnam.transfer(amount=70_000, content="rent", account="9999")
    vietnam.poll()
    assert [problem for problem, _ in waiting()] == ["unknown", "several", "account"]
    assert balance(bob) == 0 and balance(alice) == nanos("10")


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        "MBVCB.3278907687.{}.CT tu 0011001932418 NGUYEN VAN BOB toi 0011",
        "ck {} cam on",
        "  {}-",
        "NGUYEN VAN BOB CHUYEN TIEN {} FT26334 ",
    ],
)
def test_banks_put_words_around_the_code(vietnam: Vietnam, bob: User, said: str) -> None:
    order = vietnam.order(bob)
    content = said.format(order.code)
    vietnam.transfer(amount=order.dong, content=content.lower() if said == "{}" else content)
    assert balance(bob) == nanos("25")


def test_banks_break_the_code_apart(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob)
    vietnam.transfer(amount=order.dong, content=f"QR {order.code[:4]} {order.code[4:]} 12")
    assert balance(bob) == nanos("25")


def test_paid_twice_is_credited_once(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob)
    vietnam.scan(order)
    vietnam.scan(order)
    assert balance(bob) == nanos("25") and waiting() == [("double", order.dong)]


def test_what_was_sent_in_time_counts_however_late_we_hear(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob)
    vietnam.scan(order, quiet=True)
    gone = timezone.now() - timedelta(hours=1)
    BankOrder.objects.update(state="expired", ended_at=gone)
    vietnam.poll()
    assert vietnam.state(order) == "paid" and balance(bob) == nanos("25")


def test_an_order_ends_and_what_is_sent_after_that_is_late(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob)
    BankOrder.objects.update(expires_at=timezone.now() - timedelta(minutes=20))
    vietnam.poll()
    assert vietnam.state(order) == "expired"
    vietnam.scan(order)
    assert balance(bob) == 0 and waiting() == [("late", order.dong)]


def test_a_canceled_order_is_not_paid_by_itself(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob, gateway="payos")
    assert vietnam.api(bob).delete(f"{WHOLE}/{order.pk}").json()["state"] == "canceled"
    assert vietnam.channel.orders[order.number]["status"] == "CANCELLED"
    later = timezone.now() + timedelta(hours=8)
    vietnam.pay(order, at=f"{later:%Y-%m-%d %H:%M:%S}")
    assert balance(bob) == 0 and waiting() == [("late", order.dong)]


@pytest.mark.parametrize(("status", "state"), [("CANCELLED", "canceled"), ("EXPIRED", "expired")])
def test_what_is_over_at_payos_is_over_here_and_what_it_took_before_counts(
    vietnam: Vietnam, bob: User, status: str, state: str
) -> None:
    """Its customer canceled it on payOS's page, of which nobody calls back."""
    order, paid = (vietnam.order(bob, gateway="payos") for _ in range(2))
    vietnam.pay(paid, quiet=True)
    for each in (order, paid):
        vietnam.channel.orders[each.number]["status"] = status
    vietnam.poll()
    assert (vietnam.state(order), vietnam.state(paid)) == (state, "paid")
    assert balance(bob) == paid.amount and waiting() == []
    assert vietnam.api(bob).get(f"{WHOLE}/{order.pk}").json()["state"] == state


def test_a_closed_account_is_paid_nothing(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    vietnam.scan(order)
    assert balance(bob) == 0 and waiting() == [("closed", order.dong)]


# -- Who may say so ------------------------------------------------------------------------------


def callback(order: BankOrder, **other: Any) -> dict[str, Any]:
    return {
        **{"id": 1, "gateway": "VCB", "transactionDate": "2026-11-30 10:00:00"},
        **{"accountNumber": order.account, "subAccount": None, "transferType": "in"},
        **{"transferAmount": order.dong, "content": order.code, "referenceCode": "FT1"},
        **other,
    }


def sign(body: bytes, secret: str = "whisper", at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    signed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-SePay-Timestamp": stamp, "X-SePay-Signature": f"sha256={signed}"}


def test_a_forged_or_old_callback_of_sepays_credits_nothing(
    vietnam: Vietnam, bob: User, settings: Settings
) -> None:
    order = vietnam.order(bob)
    body = json.dumps(callback(order)).encode()
    tampered = sign(json.dumps(callback(order, transferAmount=1)).encode())
    now = time.time()
    for headers in (
        {},
        sign(body, secret="guess"),
        tampered,
        sign(body, at=now - 400),
        sign(body, at=now + 400),
        {"Authorization": "Apikey whisper"},
        {**sign(body), "X-SePay-Timestamp": str(int(now) - 1)},
        {"X-SePay-Timestamp": "x", "X-SePay-Signature": ""},
        {**sign(body), "X-SePay-Signature": sign(body)["X-SePay-Signature"].split("=")[1]},
        {**sign(body), "X-SePay-Signature": "sha256=" + sign(body)["X-SePay-Signature"]},
    ):
        assert vietnam.hear("sepay", body, headers) == 401, headers
    assert balance(bob) == 0 and not BankTransfer.objects.exists()
    settings.SEPAY_WEBHOOK_SECRET, settings.SEPAY_WEBHOOK_KEY = "", "k" * 16
    wrong = {"Authorization": "Apikey nope"}
    assert vietnam.hear("sepay", body, wrong) == 401
    assert vietnam.hear("sepay", body, {"Authorization": "Apikey " + "k" * 16}) == 200
    assert balance(bob) == nanos("25")


def test_a_forged_callback_of_payos_credits_nothing(vietnam: Vietnam, bob: User) -> None:
    order = vietnam.order(bob, gateway="payos")
    assert vietnam.pay(order, signature="0" * 64) == [401]
    assert balance(bob) == 0 and not BankTransfer.objects.exists()
    data = vietnam.channel.pay({"orderCode": order.number})
    other = vietnam.order(bob, "500", gateway="payos")
    moved = {**data, "orderCode": other.number}
    body = vietnam.channel.callback(moved, vietnam.channel.sign(data))
    assert vietnam.hear("payos", body, {}) == 401, "one order's signature is no other's"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"transferType":"in"}',
        b'{"transferType":"in","id":1,"transferAmount":1.5,"accountNumber":"1",'
        b'"transactionDate":"2026-11-30 10:00:00"}',
        b'{"transferType":"in","id":1,"transferAmount":0,"accountNumber":"1",'
        b'"transactionDate":"2026-11-30 10:00:00"}',
        b"x" * 70_000,
    ],
)
def test_what_is_no_callback_is_refused(vietnam: Vietnam, body: bytes) -> None:
    assert vietnam.hear("sepay", body, sign(body)) == 400
    assert not BankTransfer.objects.exists()


def test_payos_may_ask_whether_we_answer(vietnam: Vietnam) -> None:
    assert vietnam.hear("payos", vietnam.channel.callback(PROBE), {}) == 200
    assert not BankTransfer.objects.exists()


def test_nothing_is_offered_until_it_is_set_up(bob: User, settings: Settings) -> None:
    from tests.billing.conftest import client

    api = client(bob)
    refused = api.post(WHOLE, {"amount": "25"}, format="json")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "bank_transfers_not_set_up"
    for gateway in ("sepay", "payos"):
        assert api.post(f"/webhooks/{gateway}", {}, format="json").status_code == 404
    settings.VIETQR_BANK, settings.VIETQR_ACCOUNT = "970436", "1"
    settings.SEPAY_API_TOKEN = "t"
    assert api.post(WHOLE, {"amount": "25"}, format="json").status_code == 503, "there is no rate"
    rates.set_by("staff@example.com", RATE)
    assert api.post(WHOLE, {"amount": "25"}, format="json").status_code == 201
    settings.DONG_RATE_DAYS = -1
    assert api.post(WHOLE, {"amount": "25"}, format="json").status_code == 503, "it is too old"


# -- Orders --------------------------------------------------------------------------------------


def test_the_same_key_is_the_same_order_and_nobody_elses_is_seen(
    vietnam: Vietnam, alice: User, bob: User
) -> None:
    key: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": "once"}
    api = vietnam.api(bob)
    first = api.post(WHOLE, {"amount": "25"}, **key).json()
    assert api.post(WHOLE, {"amount": "25"}, **key).json() == first
    assert api.post(WHOLE, {"amount": "26"}, **key).status_code == 409
    assert BankOrder.objects.count() == 1
    assert api.get(f"{WHOLE}/{first['id']}").json()["content"] == first["content"]
    assert vietnam.api(alice).get(f"{WHOLE}/{first['id']}").status_code == 404
    assert vietnam.api(alice).delete(f"{WHOLE}/{first['id']}").status_code == 404


def test_payos_away_makes_no_order_twice(vietnam: Vietnam, bob: User) -> None:
    key: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": "once"}
    wanted = {"amount": "25", "gateway": "payos"}
    api = vietnam.api(bob)
    vietnam.channel.down = True
    assert api.post(WHOLE, wanted, **key).status_code == 503
    vietnam.channel.down, vietnam.channel.loses = False, True
    assert api.post(WHOLE, wanted, **key).status_code == 503
    shown = api.post(WHOLE, wanted, **key)
    assert shown.status_code == 201 and shown.json()["qr"]
    order = BankOrder.objects.get()
    vietnam.pay(order)
    assert balance(bob) == nanos("25")


def test_a_frozen_account_orders_nothing_and_an_open_order_of_it_is_booked(
    vietnam: Vietnam, bob: User
) -> None:
    from accounts.people import freezing

    order = vietnam.order(bob)
    freezing.freeze(bob.pk, "Looked at.")
    assert vietnam.api(bob).post(WHOLE, {"amount": "25"}).status_code == 403
    vietnam.scan(order)
    assert balance(bob) == nanos("25")


def test_more_than_the_books_can_hold_waits_for_a_person(vietnam: Vietnam, bob: User) -> None:
    from hontoni import money

    order = vietnam.order(bob)
    from billing.books import ledger

    ledger.post(key="rich", kind="adjustment", user_id=bob.pk, amount=money.MAX - 1)
    body = json.dumps(callback(order)).encode()
    told = heard(body)
    assert told is not None
    kept = settling.receive(told, CALLBACK)
    assert kept is not None and kept.problem == "refused"
    assert vietnam.state(order) == "open" and waiting() == [("refused", order.dong)]
