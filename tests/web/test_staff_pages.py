"""Every page of the admin, as staff open them: axe finds nothing serious, in light and in dark."""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import RequestFactory, override_settings
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from billing.mails.models import Announcement
from billing.stripe.models import Quarantine
from cockpit import sidebar
from cockpit.views import REPORTS
from cockpit.watch import findings
from cockpit.watch.models import Finding
from tests.gateway_server import Gateway, fund
from tests.web.conftest import Open
from tests.web.test_browser import books_now
from tests.world import Person

pytestmark = pytest.mark.any_database
SERIOUS = ("serious", "critical")
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}


def boss(person: Person) -> Person:
    """The same person as a superuser with a second factor."""
    User.objects.filter(pk=person.user.pk).update(is_staff=True, is_superuser=True)
    person.user.refresh_from_db()
    totp.TOTP.activate(person.user, "JBSWY3DPEHPK3PXP")
    return person


SET_UP = (
    *("VIETQR_BANK", "VIETQR_ACCOUNT", "SEPAY_WEBHOOK_KEY", "EINVOICE_CLIENT_ID"),
    *("EINVOICE_CLIENT_SECRET", "EINVOICE_ACCOUNT", "EINVOICE_SERIES", "EINVOICE_SINCE"),
)


def lists(owner: User) -> Iterator[str]:
    """Whatever the sidebar leads to, where everything is set up."""
    request = RequestFactory().get("/admin/")
    request.user = owner if owner else AnonymousUser()
    with override_settings(**dict.fromkeys(SET_UP, "x")):
        groups = sidebar.navigation(request)
    for group in groups:
        for item in group["items"]:
            yield item["link"].partition("?")[0]


def a_day(site: Gateway, customer: Person) -> list[str]:
    """Something on every page; the pages of single rows."""
    fund(customer, "10")
    site.chat(customer, "[[say: hi]]")
    books_now(site, 1)

    def act() -> None:
        Quarantine.note("pi_odd", "unknown_order", {})
        findings.look(timezone.now())
        now = timezone.now()
        Announcement.objects.create(
            title="Maintenance", title_vi="Bảo trì", body="On Sunday.", body_vi="Chủ nhật.",
            starts_at=now, ends_at=now + timedelta(days=1),
        )  # fmt: skip
        connections.close_all()

    with ThreadPoolExecutor(1) as thread:  # the browser keeps a loop in this one
        thread.submit(act).result()
    finding, announcement = Finding.objects.first(), Announcement.objects.get()
    assert finding is not None
    rows = {
        "cockpit_finding": finding.pk,
        "cockpit_rule": "quarantine",
        "billing_announcement": announcement.pk,
        "billing_customer": customer.user.pk,
    }
    single = [reverse(f"admin:{name}_change", args=[pk]) for name, pk in rows.items()]
    deeds = [f"/admin/cockpit/finding/{finding.pk}/close/"]
    deeds += [f"/admin/billing/announcement/{announcement.pk}/release/"]
    return [*single, *deeds, reverse("admin:billing_announcement_add")]


def serious(page: Page, path: str) -> list[Any]:
    page.goto(path)
    page.wait_for_function("typeof Alpine === 'object'")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        (path, each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in SERIOUS
    ]


OFTEN = ("billing_customer", "gateway_usageevent", "cockpit_finding", "billing_plan")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_where_staff_are(
    open_page: Open, site: Gateway, alice: Person, bob: Person, scheme: str
) -> None:
    """The home, a report, lists with rows, forms, deeds. `STAFF_PAGES=all` looks at every list and
    report there is."""
    rows = a_day(site, bob)
    owner = boss(alice)
    page = open_page("/admin/", owner, color_scheme=scheme, **DESK)
    paths = ["/admin/", "/admin/reports/revenue", *rows]
    paths += [reverse(f"admin:{name}_changelist") for name in OFTEN]
    if os.environ.get("STAFF_PAGES") == "all":
        paths += [*lists(owner.user), *(reverse("cockpit-report", args=[n]) for n in REPORTS)]
    each = dict.fromkeys(paths)
    assert [found for path in each for found in serious(page, path)] == []


def test_a_customers_requests_come_in_while_they_are_looked_at(
    open_page: Open, site: Gateway, alice: Person, bob: Person
) -> None:
    fund(bob, "10")
    page = open_page("/admin/", boss(alice), **DESK)
    page.goto(reverse("admin:billing_customer_change", args=[bob.user.pk]))
    requested: list[str] = []
    page.on("request", lambda each: requested.append(each.url))
    page.wait_for_timeout(2_500)
    assert not any("/live" in url for url in requested), "nobody looks at them"
    page.locator("#tabs-items").get_by_role("link", name="Live requests").click()
    expect(page.get_by_text("asked anew every other second")).to_be_visible()
    site.chat(bob, "[[say: hi]]")
    books_now(site, 1)
    expect(page.get_by_role("link", name=re.compile("^req_"))).to_be_visible()
