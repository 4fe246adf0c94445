"""The owner's morning: the home, what waits, one search, and a page a customer."""

import html
import re
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.keys import personal_tokens
from accounts.keys.scopes import OF_TOKENS
from accounts.models import User
from accounts.people import freezing
from billing.books import ledger
from billing.mails import notices
from billing.payments.models import Dispute, Payout, TopUp
from billing.plans.models import Plan, Subscription
from billing.rewards import referrals
from billing.rewards.models import PromoCode
from billing.stripe.models import Quarantine, StripeCustomer, StripeEvent
from billing.subscriptions.models import PlanOrder
from gateway.batches.models import Batch
from gateway.usage import refusals, request_ids
from hontoni import health
from hontoni.money import DOLLAR, dollars
from hontoni.templatetags.money import about
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person, used

CUSTOMER = "/admin/billing/customer/{}/change/"


def text(client: Client, path: str) -> str:
    answer = client.get(path, follow=True)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def found(client: Client, pasted: str) -> list[Any]:
    """What the command search answers: titles and links."""
    answer = client.get("/admin/search/", {"s": pasted, "extended": "1"})
    assert answer.status_code == 200
    context: Any = answer.context_data
    return [(each.title, each.link) for each in context["results"]]


@pytest.fixture
def busy(gateway: Gateway, alice: Person, bob: Person) -> Gateway:
    """alice has paid and used, bob was refused."""
    fund(alice, "10")
    assert gateway.chat(alice, "[[usage: 1000 500 0]] [[say: hi]]").status_code == 200
    assert gateway.chat(bob, "[[say: hi]]").status_code == 402
    gateway.books()
    until(refusals.drain, "the refusal was not written")
    return gateway


def test_the_home_says_how_the_business_does(busy: Gateway, alice: Person) -> None:
    finance = staff("finance")
    (event,) = busy.books()
    page = text(finance, "/admin/?days=30")
    assert "Books balanced" in page and alice.user.email in page
    context = finance.get("/admin/?days=30").context
    cards = {card.title: card for card in [*context["revenue"], *context["cards"]]}
    assert cards["Requests"].value == "1" and cards["Active customers"].value == "1"
    assert cards["Failed"].value == "0" and cards["New sign-ups"].value == "2"
    for title in ("Revenue today", "Revenue, 7 days", "Revenue, 30 days"):
        assert cards[title].value == about(event.cost)
    assert cards["Balances owed"].value == about(busy.balance(alice))
    for card in cards.values():
        text(finance, card.link)


def test_every_number_leads_to_the_rows_it_counts(busy: Gateway, alice: Person) -> None:
    """From the home to each report, from there to each list: all of it opens, and the requests
    are found."""
    finance, pages = staff("finance"), dict[str, str]()
    (event,) = busy.books()
    todo = list(home_links(text(finance, "/admin/?days=7")))
    while todo:
        if (link := todo.pop()) not in pages:
            pages[link] = text(finance, link)
            if link.startswith("/admin/reports/"):
                todo += home_links(pages[link])
    requests = [link for link in pages if link.startswith("/admin/gateway/usageevent/?")]
    assert requests and all(event.request_id in pages[link] for link in requests)
    files = finance.get("/admin/reports/active?days=7&as=csv").content.decode()
    assert alice.user.email in files


def home_links(page: str) -> list[str]:
    main = page.partition('id="content"')[2] or page
    found = re.findall(r'href="(/admin/[^"#]*)"', main)
    return [html.unescape(link) for link in found if "as=csv" not in link and "logout" not in link]


@pytest.mark.any_database
def test_the_books_are_as_the_last_proof_left_them(alice: Person) -> None:
    finance = staff("finance")

    def said() -> tuple[str, bool]:
        context = finance.get("/admin/").context
        return context["books"], context["balanced"]

    assert said() == ("Books balanced; not proved yet.", True)
    health.note_reconcile(0)
    words, well = said()
    assert f"proved at {timezone.now():%Y-%m-%d}" in words and well
    health.note_reconcile(3)
    words, well = said()
    assert "found 3 differences" in words and not well


def test_a_bar_is_a_day(busy: Gateway, alice: Person) -> None:
    finance = staff("finance")
    *_, today = finance.get("/admin/?days=1").context["bars"]
    (event,) = busy.books()
    assert today.value == about(event.cost) and today.requests == 1
    assert alice.user.email in text(finance, today.link)


@pytest.mark.parametrize("path", ["nothing", "day", "day?day=x", "day?day=2026-02-31"])
def test_there_is_no_other_report(busy: Gateway, path: str) -> None:
    assert staff("finance").get(f"/admin/reports/{path}").status_code == 404


def test_reports_are_for_who_sees_the_books(busy: Gateway) -> None:
    assert staff("catalogue").get("/admin/reports/owed").status_code == 403
    assert Client().get("/admin/reports/owed").status_code == 302


@pytest.mark.parametrize("days", ["1", "7", "30", "365", "x", "-1"])
def test_any_span_is_answered(busy: Gateway, days: str) -> None:
    shown = staff("finance").get(f"/admin/?days={days}").context["days"]
    assert shown == (int(days) if days in ("1", "7", "30") else 7)


def test_refusals_are_by_reason_and_lead_to_their_list(busy: Gateway, bob: Person) -> None:
    finance = staff("finance")
    reports = {report.title: report for report in finance.get("/admin/").context["reports"]}
    ((code, _status, times, _customers),) = reports["Why requests were refused"].rows
    assert (code.text, times.text) == ("insufficient_balance", "1")
    assert bob.user.email in text(finance, code.link)


def badges(client: Client) -> dict[str, tuple[str, str]]:
    return {
        item["title"]: (item["badge"], item["link"])
        for group in client.get("/admin/").context["sidebar_navigation"]
        for item in group["items"]
        if item.get("badge")
    }


def test_what_waits_has_a_badge_and_a_list(busy: Gateway) -> None:
    finance = staff("finance")
    assert "Odd payments" not in badges(finance)
    Quarantine.note("pi_odd", "unknown_order", {})
    count, link = badges(finance)["Odd payments"]
    assert count == "1" and "pi_odd" in text(finance, link)
    assert "Odd payments: 1" in text(finance, "/admin/"), "the home says so, too"


def test_the_sidebar_is_what_one_may_see(busy: Gateway) -> None:
    def titles(client: Client) -> set[str]:
        groups = client.get("/admin/").context["sidebar_navigation"]
        for group in groups:
            for item in group["items"]:
                assert client.get(item["link"]).status_code == 200, item["title"]
        return {item["title"] for group in groups for item in group["items"]}

    support, catalogue = titles(staff("support")), titles(staff("catalogue"))
    assert "Customers" in support and "Credentials" not in support
    assert "Credentials" in catalogue and "Customers" not in catalogue


def test_what_is_not_set_up_is_in_nobodys_sidebar(busy: Gateway, settings: Settings) -> None:
    titles = {"Bank transfers", "Bank orders", "Bank refunds", "Exchange rates", "E-invoices"}
    finance = staff("finance")

    def shown() -> set[str]:
        groups = finance.get("/admin/").context["sidebar_navigation"]
        return titles & {item["title"] for group in groups for item in group["items"]}

    assert shown() == set()
    settings.VIETQR_BANK, settings.VIETQR_ACCOUNT = "970436", "1"
    settings.SEPAY_WEBHOOK_KEY = "k" * 16
    assert shown() == titles - {"E-invoices"}
    for name in ("CLIENT_ID", "CLIENT_SECRET", "ACCOUNT", "SERIES", "SINCE"):
        setattr(settings, f"EINVOICE_{name}", "2026-01-01")
    assert shown() == titles


def test_plumbing_is_out_of_sight_and_can_be_found(busy: Gateway) -> None:
    finance = staff("finance")
    groups = finance.get("/admin/").context["sidebar_navigation"]
    links = [item["link"] for group in groups for item in group["items"]]
    for table in ("billing/entry", "billing/ledgeraccount", "payments/stripecustomer"):
        assert not any(table in link for link in links)
        assert f"/admin/{table}/" in text(finance, links[-1])


def test_the_home_of_others_is_their_tasks(busy: Gateway) -> None:
    page = text(staff("catalogue"), "/admin/")
    assert "/admin/gateway/model/" in page and "/admin/billing/transfer/" not in page
    assert "favicon.svg" in page


def test_who_may_not_see_the_books_sees_no_figures(busy: Gateway, alice: Person) -> None:
    page = staff("catalogue").get("/admin/")
    assert not page.context["sees_money"] and alice.user.email not in page.content.decode()


def test_whatever_is_pasted_opens_its_page(busy: Gateway, alice: Person, bob: Person) -> None:
    support = staff("support")
    (event,) = busy.books()
    key = alice.raw
    pasted = {
        event.request_id: "Request",
        event.request_id.upper(): "Request",
        event.id.hex: "Request",
        event.upstream_request_id: "Request",
        alice.user.email: alice.user.email,
        "alice@": alice.user.email,
        f" {alice.user.email.upper()}\u200b": alice.user.email,
        str(event.id).upper(): "Request",
        f"`{event.request_id[:9]} {event.request_id[9:]}`": "Request",
        key[:12].upper(): "Key",
        key: "Key",
        key[:14]: "Key",
    }
    for word, title in pasted.items():
        results = found(support, word)
        assert results and title in results[0][0], (word, results)
        text(support, results[0][1])
    refused = busy.chat(bob, "[[say: hi]]").headers["x-request-id"]
    until(refusals.drain, "the refusal was not written")
    (title, link), *_ = found(support, refused)
    assert title.startswith("Refused") and "balance" in text(support, link)
    for nothing in ("", "qq", "req_" + "0" * 32, "nobody@example.com", "pi_1", "%", "' or 1=1"):
        assert found(support, nothing) == [] if nothing else True


@pytest.mark.any_database
def test_every_kind_of_stripes_ids_opens_what_it_is_about(alice: Person) -> None:
    """Also where the letters are large and small."""
    support = staff("support")
    order = TopUp.objects.create(
        user=alice.user, route="checkout", amount=10 * DOLLAR, state="paid",
        session_id="cs_test_aB1", intent_id="pi_3AbC", invoice_id="in_1XyZ",
    )  # fmt: skip
    Dispute.objects.create(id="du_1AbC", topup=order, status="lost", amount=1)
    StripeCustomer.objects.create(user=alice.user, stripe_id="cus_AbC")
    plan = Plan.objects.create(slug="x", name="X", **plan_limits())
    period = {"period_start": timezone.now(), "period_end": timezone.now() + timedelta(days=1)}
    mine = Subscription.objects.create(user=alice.user, plan=plan, stripe_id="sub_1AbC", **period)
    PlanOrder.objects.create(
        user=alice.user, plan=plan, subscription=mine, session_id="cs_live_Plan",
        invoice_id="in_Plan",
    )  # fmt: skip
    fund(alice, "10")
    for key, kind in (("topup:pi_3AbC", "topup"), ("refund:re_3AbC", "refund")):
        amount = DOLLAR if kind == "topup" else -DOLLAR
        ledger.post(
            key=key, kind=kind, user_id=alice.user.pk, amount=amount, reason="r", actor="t"
        )
    for pk, of in (("evt_1AbC", "ch_3AbC"), ("evt_2AbC", "po_1AbC")):
        StripeEvent.objects.create(
            id=pk, type="x.y", object_id=of, payload={}, source="webhook", retry_at=timezone.now()
        )
    pasted = {
        "cs_test_aB1": "Top-up", "pi_3AbC": "Top-up", "in_1XyZ": "Top-up", "du_1AbC": "Dispute",
        "cus_AbC": alice.user.email, "sub_1AbC": "Subscription", "cs_live_Plan": "Order",
        "in_Plan": "Order", "re_3AbC": "Transfer", "ch_3AbC": "Stripe", "po_1AbC": "Stripe",
        "evt_1AbC": "Stripe", str(order.pk): "Top-up", " pi_3AbC, ": "Top-up",
    }  # fmt: skip
    for word, title in pasted.items():
        results = found(support, word)
        assert results and title in results[0][0], (word, results)
        text(support, results[0][1])
    assert any("Transfer" in title for title, _link in found(support, "pi_3AbC"))
    for mistyped in ("PI_3ABC", "pi_3abc", "cus_abc", "SUB_1ABC", "du_1a bC", "Evt_1abc"):
        assert found(support, mistyped), mistyped


@pytest.mark.any_database
def test_whatever_else_has_a_name_or_a_number_is_found(alice: Person) -> None:
    """Batches and their files, access tokens, codes, payouts and their movements, what is odd,
    the invoice that Stripe made of a plan, and people by their names."""
    owner, user = staff("finance"), alice.user
    User.objects.filter(email="finance@example.com").update(is_superuser=True)
    User.objects.filter(pk=user.pk).update(name="Alice Nguyễn")
    batch = Batch.objects.create(
        id="msgbatch_0a1", user=user, api_key=alice.key, endpoint="/v1/messages",
        keeps_seconds=86_400,
        status="in_progress", input_file_id="file-0b2", expires_at=timezone.now(),
    )  # fmt: skip
    _, raw = personal_tokens.mint(user, "ci", [OF_TOKENS[0]])
    referral = referrals.code_of(user.pk)
    PromoCode.objects.create(code="AUTUMN", kind="credit", amount=1, valid_from=timezone.now())
    payout = Payout.objects.create(
        id="po_1Out", status="paid", amount=1, arrives_on="2026-11-30", made_at=timezone.now()
    )
    payout.lines.create(
        id="txn_1Line", category="charge", source="ch_1Src", gross=1, fee=0, made_at=timezone.now()
    )
    Quarantine.note("pi_Odd", "unknown_order", {})
    facts = {"by_card": True, "paid": "6.00", "invoice": "A1B2C3D4-0001"}
    notices.tell(user_id=user.pk, kind="plan_started", key="x", facts=facts)
    pasted = {
        batch.pk: "Batch", "MSGBATCH_0A1": "Batch", "file-0b2": "Batch", raw: "Access token",
        raw[:12]: "Access token", referral: user.email, referral.lower(): user.email,
        "autumn": "Promo code", "po_1Out": "Payout", "txn_1Line": "Payout", "ch_1Src": "Payout",
        "pi_Odd": "Odd payment", "a1b2c3d4-0001": user.email, "alice ng": user.email,
    }  # fmt: skip
    for word, title in pasted.items():
        results = found(owner, word)
        assert results and title in results[0][0], (word, results)
        text(owner, results[0][1])


def plan_limits() -> dict[str, int]:
    return dict.fromkeys([*Plan.LIMITS, "price", "thinking_budget", "key_cap"], 1)


@pytest.mark.any_database
@pytest.mark.parametrize("ago", [0, 5, 20, 200])
def test_a_vendors_id_is_found_however_old(alice: Person, ago: int) -> None:
    at = time.time() - ago * 86_400
    pk = uuid.UUID(int=request_ids.first_id(at).int + 7)
    event = used(alice, id=pk, upstream_request_id="chatcmpl-AbC123xyz")
    for word in ("chatcmpl-AbC123xyz", f"https://x.example/usage/{event.request_id}"):
        ((title, _link),) = found(staff_named(word), word)
        assert event.request_id in title


def staff_named(word: str) -> Client:
    User.objects.filter(email="support@example.com").delete()
    return staff("support")


@pytest.mark.any_database
def test_nothing_pasted_breaks_the_search(alice: Person) -> None:
    support = staff("support")
    for word in (
        "f" * 32,
        "req_" + "f" * 32,
        "0" * 32,
        "%" * 300,
        "\x00pi_1",
        "é_1",
        "a_" + "b" * 400,
    ):
        assert found(support, word) == []


def test_nobody_finds_what_he_may_not_see(busy: Gateway, alice: Person) -> None:
    assert found(staff("catalogue"), alice.user.email) == []


def test_a_customers_page_has_all_there_is(busy: Gateway, alice: Person) -> None:
    finance = staff("finance")
    (event,) = busy.books()
    page = text(finance, CUSTOMER.format(alice.user.pk))
    assert event.request_id in page and alice.user.email in page
    assert dollars(busy.balance(alice)) in page
    assert alice.raw not in page, "nobody can read a key"


def test_only_what_applies_can_be_done(busy: Gateway, alice: Person) -> None:
    support = staff("support")
    deed = "/admin/billing/customer/{}/{}/"
    page = text(support, CUSTOMER.format(alice.user.pk))
    assert deed.format(alice.user.pk, "freeze") in page
    assert deed.format(alice.user.pk, "unfreeze") not in page
    freezing.freeze(alice.user.pk, "A dispute.")
    page = text(support, CUSTOMER.format(alice.user.pk))
    assert deed.format(alice.user.pk, "unfreeze") in page
    assert deed.format(alice.user.pk, "freeze") not in page
    assert support.get(deed.format(alice.user.pk, "freeze")).status_code == 403
