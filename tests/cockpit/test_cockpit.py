"""The owner's morning: the home, what waits, one search, and a page a customer."""

import html
import re
from typing import Any

import pytest
from django.test import Client

from accounts.people import freezing
from billing.stripe.models import Quarantine
from gateway.usage import refusals
from hontoni.money import dollars
from hontoni.templatetags.money import about
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

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
    for nothing in ("", "x", "req_" + "0" * 32, "nobody@example.com", "pi_1", "%", "' or 1=1"):
        assert found(support, nothing) == [] if nothing else True


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
