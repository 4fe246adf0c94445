"""Every deed of staff's in the admin: who may not do it changes nothing, nothing is done by being
looked at, and what is done is in the audit with what it changed.

Rows are compared as they stand in the database, whatever a page says.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books.models import AuditEntry, CreditRequest
from billing.invoices.models import Invoice
from billing.mails.models import Announcement
from billing.payments.models import (
    BankRefund,
    BankTransfer,
    Dispute,
    EInvoice,
    ExchangeRate,
    TopUp,
)
from billing.plans.models import Plan
from billing.plans.seed import seed as seed_billing
from billing.rewards.models import Referral
from billing.stripe.models import Quarantine, StripeEvent
from billing.subscriptions import balance_changes
from cockpit.watch import findings
from gateway.catalogue.features.models import LeftOut
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles
from gateway.pricing import proposals
from gateway.usage.models import DeadEvent
from gateway.usage.quarantine.models import UsageQuarantine
from gateway.vendors.models import Credential, Provider
from gateway.vendors.web.models import SearchProvider
from hontoni.money import nanos
from tests.gateway_server import fund
from tests.web.furnished import furnish
from tests.world import Person, used

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]
ROLES = ("auditor", "support", "catalogue", "finance")
# Written by reading: a session, and who was seen when.
READING = ("django_session", "usersessions_usersession", "accounts_usersession")
# They tell, and do nothing: a page, a file, a test mail to whoever asks.
TELLING = {
    *("customer.live", "customer.export", "closedmonth.desk", "closedmonth.export"),
    *("routing.health", "price.export", "featureprice.export", "announcement.preview"),
    *("announcement.test", "rule.test"),
}


@pytest.fixture
def business(settings: Settings, alice: Person, bob: Person) -> Person:
    """Alice has a row in every table that staff can do something to."""
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "0"
    seed_billing()
    seed_catalogue()
    seed_roles()
    fund(alice, "100")
    furnish(alice)
    user, now = alice.user, timezone.now()
    balance_changes.subscribe(user.pk, Plan.objects.get(slug="basic"), now=now)
    EmailAddress.objects.create(user=user, email="other@example.com")
    order = TopUp.objects.create(
        user=user, route="checkout", amount=nanos("10"), state="paid", intent_id="pi_1",
        charged_cents=1000, paid_at=now,
    )  # fmt: skip
    Dispute.objects.create(
        id="du_1", topup=order, status="needs_response", amount=1, due_at=now + timedelta(days=2)
    )
    CreditRequest.objects.create(
        key="k", user=user, amount=nanos("5"), reason="x", requester=bob.user, requested_by="b@x"
    )
    Referral.objects.create(
        referrer=user, invitee=bob.user, percent=10, basis="x", hold_days=1, most=1, status="held"
    )
    Quarantine.note("pi_odd", "unknown_order", {})
    StripeEvent.objects.create(id="evt_1", type="x.y", payload={}, source="webhook", retry_at=now)
    UsageQuarantine.objects.create(event=used(alice), kind="capped", told={"output": 9})
    DeadEvent.objects.create(stream_id="1:1-0", payload={}, problem="x")
    LeftOut.objects.create(dialect="openai_chat", kind="member", name="odd")
    proposals.sync(offline=True)
    SearchProvider.objects.create(name="brave", shape="brave")
    Credential.objects.create(provider=Provider.objects.all()[0], label="main", sealed="x")
    Announcement.objects.create(
        title="T", title_vi="T", body="b", body_vi="b", starts_at=now,
        ends_at=now + timedelta(days=1),
    )  # fmt: skip
    _banks(user, bob.user)
    findings.look(now)
    return alice


def _banks(user: User, staff: User) -> None:
    """A rate that is proposed, a transfer that waits, one that goes back, a refused e-invoice."""
    now = timezone.now()
    ExchangeRate.objects.create(dong=26_000, state="proposed", source="https://x")
    told: dict[str, Any] = {"gateway": "sepay", "heard_by": "poll", "sent_at": now, "raw": {}}
    back, _waiting = (
        BankTransfer.objects.create(
            gateway_id=state, identity=state, dong=9_000, state=state, problem="unknown", **told
        )
        for state in ("returning", "quarantined")
    )
    BankRefund.objects.create(
        transfer=back, key="k", dong=9_000, to="VCB 1", reason="x", requester=staff,
        requested_by="b@x",
    )  # fmt: skip
    EInvoice.objects.create(
        invoice=Invoice.objects.filter(user=user)[0], kind="invoice", state="failed",
        reference_code="x", template="1", series="C26THT", rate=26_000, tax_percent="10",
        net=1, tax=0, total=1, buyer={}, next_at=now,
    )  # fmt: skip


def sign_in(role: str) -> Client:
    user = User.objects.create_user(f"{role}@example.com", "x", is_staff=True)
    if role == "owner":
        User.objects.filter(pk=user.pk).update(is_superuser=True)
    else:
        user.groups.add(Group.objects.get(name=role))
    totp.TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.get(pk=user.pk))
    return client


# -- What there is to do -------------------------------------------------------------------------


def names(given: Iterable[Any]) -> Iterator[str]:
    for each in given or ():
        yield from each["items"] if isinstance(each, dict) else [str(each)]


def deeds() -> Iterator[tuple[Any, str, str]]:
    """Each page, the name of a deed on it, and where it stands: at a `row`, or over the `list`."""
    pages: Iterable[Any] = admin.site._registry.values()
    for page in pages:
        for name in [*names(page.actions_detail), *names(page.actions_row)]:
            yield page, name, "row"
        for name in names(page.actions_list):
            yield page, name, "list"


def actions() -> Iterator[tuple[Any, str, Any]]:
    """What is done to the chosen rows of a list."""
    pages: Iterable[Any] = admin.site._registry.values()
    for page in pages:
        for function, name, _about in page._get_base_actions():
            yield page, name, function


def address(page: Any, name: str, row: Model | None) -> str:
    options = page.model._meta
    place = f"admin:{options.app_label}_{options.model_name}_{name}"
    try:
        return reverse(place, args=[row.pk] if row is not None else [])
    except NoReverseMatch:
        return reverse(place, args=[])


def first(page: Any) -> Model | None:
    found: Model | None = page.model._default_manager.order_by("-pk").first()
    return found


def missing(page: Any) -> Any:
    """An id that no row has."""
    kinds = {"CharField": "none", "SlugField": "none", "UUIDField": UUID(int=7)}
    return kinds.get(page.model._meta.pk.get_internal_type(), 0)


def label(page: Any, name: str) -> str:
    return f"{page.model._meta.model_name}.{name}"


def rows() -> dict[str, Any]:
    """All that is in the database, table by table."""
    with connection.cursor() as cursor:
        found = {}
        for name in connection.introspection.table_names(cursor):
            if name not in READING and not name.startswith("djstripe"):
                cursor.execute(f'SELECT * FROM "{name}"')
                found[name] = sorted(map(repr, cursor.fetchall()))
    return found


def changed(before: dict[str, Any]) -> set[str]:
    after = rows()
    return {name for name in after if after[name] != before[name]}


# -- Who may --------------------------------------------------------------------------------------


def test_every_deed_says_what_it_takes_and_who_has_nothing_may_do_none() -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_user("nobody@example.com", "x", is_staff=True)
    open_to_all = []
    for page, name, function in [
        *actions(),
        *((page, name, getattr(page, name)) for page, name, _where in deeds()),
    ]:
        wanted = getattr(function, "allowed_permissions", None) or ()
        held = [
            request.user.has_perm(each)
            if "." in each
            else getattr(page, f"has_{each}_permission")(request)
            for each in wanted
        ]
        if not wanted or any(held):
            open_to_all.append(label(page, name))
    assert open_to_all == []


@pytest.mark.parametrize("role", ROLES)
def test_who_may_not_do_it_changes_nothing_by_posting_it(business: Person, role: str) -> None:
    """Each deed and each action on a list, on a row that is there, sent as its form would be."""
    client = sign_in(role)
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(email=f"{role}@example.com")
    before, sent = rows(), 0
    for page, name, where in deeds():
        function, row = getattr(page, name), first(page)
        if may(page, function, request) or (where == "row" and row is None):
            continue
        answer = client.post(address(page, name, row), filled(page, row))
        assert answer.status_code in (302, 403, 404), label(page, name)
        sent += 1
    for page, name, function in actions():
        row = first(page)
        if row is not None and not may(page, function, request):
            given = {"action": name, "_selected_action": str(row.pk), "post": "yes"}
            client.post(place(page, "changelist"), given | filled(page, row))
            sent += 1
    assert sent > 20 and changed(before) == set()


def may(page: Any, function: Any, request: Any) -> bool:
    return any(
        request.user.has_perm(each)
        if "." in each
        else getattr(page, f"has_{each}_permission")(request)
        for each in getattr(function, "allowed_permissions", ())
    )


def place(page: Any, name: str) -> str:
    options = page.model._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{name}")


def filled(page: Any, row: Model | None) -> dict[str, str]:
    """What any form asks for."""
    text = dict.fromkeys(("reason", "note", "text", "words"), "Because")
    numbers = dict.fromkeys(("amount", "times", "days"), "2")
    about = {"email": getattr(row, "email", ""), "when": "now", "of": "usage"}
    once = {"once": "00000000-0000-4000-8000-000000000001"}
    return {**text, **numbers, **about, **once}


# -- What is done --------------------------------------------------------------------------------


def test_nothing_is_done_by_being_looked_at(business: Person) -> None:
    """A link, a prefetch or a picture on another site can send a GET."""
    owner = sign_in("owner")
    owner.get("/admin/")
    before = rows()
    for page, name, where in deeds():
        row = first(page)
        if where == "list" or row is not None:
            answer = owner.get(address(page, name, row))
            assert answer.status_code < 500, label(page, name)
            moved = changed(before)
            assert moved == set() or name in ("look", "export"), (label(page, name), moved)
            before = rows() if moved else before
            if where == "row":
                nowhere = address(page, name, page.model(pk=missing(page)))
                assert owner.get(nowhere).status_code < 500, nowhere


def test_whatever_is_done_is_in_the_audit(business: Person) -> None:
    """Whatever a deed changes, by whom, with what was and what is."""
    owner, silent, done = sign_in("owner"), [], 0
    owner.get("/admin/")
    for page, name, sent in every_form(owner):
        begun = transaction.savepoint()
        before, noted = rows(), AuditEntry.objects.count()
        answer = owner.post(*sent)
        assert answer.status_code < 500, label(page, name)
        moved = changed(before) - {"billing_auditentry", "django_admin_log"}
        if moved:
            done += 1
            entries = list(AuditEntry.objects.order_by("pk")[noted:])
            told = [e for e in entries if e.actor == "owner@example.com" and (e.before or e.after)]
            if not told and label(page, name) not in TELLING:
                silent.append((label(page, name), moved))
        transaction.savepoint_rollback(begun)
    assert not silent, str(silent)
    assert done > 25


def every_form(owner: Client) -> Iterator[tuple[Any, str, tuple[str, dict[str, str]]]]:
    """Each deed with its form as it is shown, filled in; each action with its row."""
    for page, name, where in deeds():
        row = first(page)
        if where == "list" or row is not None:
            path = address(page, name, row)
            form: Any = (owner.get(path).context or {}).get("form")
            shown = {
                key: str(form[key].value() if form[key].value() is not None else "")
                for key in getattr(form, "fields", {})
            }
            given = filled(page, row)
            yield page, name, (path, given | {k: v for k, v in shown.items() if v})
    for page, name, _function in actions():
        row = first(page)
        if row is not None and name != "delete_selected":
            chosen = {"action": name, "_selected_action": str(row.pk)}
            yield page, name, (place(page, "changelist"), chosen | filled(page, row))
