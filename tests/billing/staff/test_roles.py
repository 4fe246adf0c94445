"""Who may do what: an auditor reads everything and changes nothing, support credits a little."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import URLPattern, get_resolver
from pytest_django import Settings

from accounts.models import User
from billing.books import credit_requests
from billing.books.models import AuditEntry, CreditRequest, Transfer
from hontoni import errors
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import balance
from tests.gateway.usage.test_quarantine import staff

CREDIT = "/admin/billing/customer/{}/credit/"
ONCE = "00000000-0000-4000-8000-{:012d}"


def admin_patterns(pk: int) -> Iterator[str]:
    """Every address of the admin, with an id that is there in the place of every id."""

    def walk(resolver: Any, prefix: str) -> Iterator[str]:
        for pattern in resolver.url_patterns:
            here = prefix + str(pattern.pattern).lstrip("^")
            if isinstance(pattern, URLPattern):
                yield here
            else:
                yield from walk(pattern, here)

    for found in walk(get_resolver(), "/"):
        if found.startswith("/admin/") and "djstripe" not in found:
            yield (
                re.sub(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)", str(pk), found)
                .rstrip("$")
                .replace("\\Z", "")
            )


def is_a_deed(address: str) -> bool:
    """Neither a list nor one of Django's own pages of a row: those are read, and posted to."""
    own = ("/add/", "/change/", "/delete/", "/history/", "/autocomplete/")
    return address.count("/") > 4 and not address.endswith(own)


def rows() -> dict[str, int]:
    """How many rows each table has."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        found = {}
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            found[name] = cursor.fetchone()[0]
    return found


@pytest.mark.django_db
@pytest.mark.any_database
def test_an_auditor_changes_nothing_at_any_address(alice: User) -> None:
    auditor = staff("auditor")
    before = rows()
    addresses = sorted(set(admin_patterns(alice.pk)))
    assert len(addresses) > 250
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    own = ("/admin/logout/", "/admin/login/", "/admin/password_change/")
    for address in addresses:
        if not address.startswith(own):
            given = {"action": "delete_selected", "reason": "x", "_selected_action": alice.pk}
            auditor.post(address, given)
            if is_a_deed(address):
                auditor.get(address)
    logging.getLogger("django.request").setLevel(logging.WARNING)
    after = rows()
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"django_session"}, changed
    assert not AuditEntry.objects.exists() and not LogEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.any_database
def test_an_auditor_sees_every_list_and_adds_to_none(alice: User) -> None:
    auditor = staff("auditor")
    for model in admin.site._registry:
        options = model._meta
        if "view" not in options.default_permissions or options.app_label == "djstripe":
            continue
        base = f"/admin/{options.app_label}/{options.model_name}/"
        assert auditor.get(base).status_code == 200, base
        assert auditor.get(f"{base}add/").status_code == 403, base
        assert "delete_selected" not in auditor.get(base).content.decode()


# -- Support's credits ---------------------------------------------------------------------------


def credit(client: Client, user: User, amount: str, number: int = 1) -> Any:
    given = {"amount": amount, "reason": "Goodwill", "once": ONCE.format(number)}
    return client.post(CREDIT.format(user.pk), given, follow=True)


@committed
def test_support_credits_a_little_and_requests_the_rest(
    alice: User, bob: User, settings: Settings
) -> None:
    settings.SUPPORT_CREDIT_LIMIT = "25"
    support, finance = staff("support"), staff("finance")
    credit(support, bob, "20")
    assert balance(bob) == nanos("20")
    for number, user in ((2, bob), (3, alice)):
        assert "Requested" in credit(support, user, "6", number).content.decode()
    assert balance(bob) == nanos("20"), "the day's limit is one, whomever it goes to"
    credit(support, bob, "5", 4)
    assert balance(bob) == nanos("25")
    credit(support, bob, "6", 2)
    assert CreditRequest.objects.count() == 2, "sent twice, it is one"
    first = CreditRequest.objects.get(user=bob)
    page = f"/admin/billing/creditrequest/{first.pk}/approve/"
    assert support.post(page, {"x": "1"}).status_code == 403
    finance.post(page, {"x": "1"})
    assert balance(bob) == nanos("31")
    assert finance.post(page, {"x": "1"}).status_code == 403, "it is decided"
    first.refresh_from_db()
    assert (first.state, first.requested_by, first.decided_by) == (
        "approved", "support@example.com", "finance@example.com",
    )  # fmt: skip
    booked = Transfer.objects.get(key=f"request:{first.pk}")
    assert booked.actor == "finance@example.com" and booked.reason == "Goodwill"
    other = CreditRequest.objects.get(user=alice)
    finance.post(f"/admin/billing/creditrequest/{other.pk}/decline/", {"reason": "Too much"})
    assert balance(alice) == nanos("10")
    assert AuditEntry.objects.filter(subject=f"user:{alice.pk}").count() == 2


@committed
def test_support_takes_no_money_without_a_second_person(alice: User) -> None:
    assert "Requested" in credit(staff("support"), alice, "-1").content.decode()
    assert balance(alice) == nanos("10")


@committed
def test_nobody_approves_his_own_request_under_another_address(bob: User, alice: User) -> None:
    request = credit_requests.credit(
        key="k", user_id=bob.pk, amount=nanos("500"), reason="x", staff=alice
    )
    assert request is not None
    alice.email = "another@example.com"
    alice.save()
    with pytest.raises(errors.Forbidden):
        credit_requests.approve(request.pk, staff=alice)
    request.decider = alice
    with pytest.raises(IntegrityError), transaction.atomic():
        request.save()
    assert balance(bob) == 0
