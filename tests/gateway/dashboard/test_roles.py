"""The roles of staff: what each may do, and that nobody gives himself more."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import AuditEntry
from billing.plans.seed import seed as seed_billing
from billing.rewards.models import Referral
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.models import RoleGrant
from gateway.dashboard.roles import ROLES, seed
from hontoni.money import nanos
from tests.confirmed import confirm
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def world(db: None, settings: Settings) -> None:
    settings.SIGNUP_CREDIT = "0"
    seed_billing()
    seed_catalogue()
    seed()


def staff(role: str) -> Client:
    user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def credit(client: Client, person: Person, **changes: object) -> int:
    url = f"/admin/billing/customer/{person.user.pk}/credit/"
    shown = client.get(url)
    if shown.status_code != 200:
        return shown.status_code
    once = shown.context["form"]["once"].value()
    body = {"amount": "25", "reason": "Sorry", "once": once} | changes
    return client.post(url, body).status_code


def freeze(client: Client, person: Person, verb: str = "freeze") -> int:
    url = f"/admin/billing/customer/{person.user.pk}/{verb}/"
    return client.post(url, {"reason": "Abuse"}).status_code


def actions() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "subject"))


@pytest.mark.parametrize("role", ROLES)
def test_every_page_a_role_sees_opens(role: str, alice: Person) -> None:
    client, seen = staff(role), 0
    for model in admin.site._registry:
        url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        status = client.get(url).status_code
        assert status in (200, 403), url
        seen += status == 200
    assert seen >= 3


def test_finance_credits_with_a_reason_and_catalogue_does_not(alice: Person) -> None:
    """What support may: tests/billing/staff/test_roles.py."""
    assert credit(staff("catalogue"), alice) == 403
    assert credit(staff("finance"), alice) == 302
    assert ledger.balance(alice.user.pk) == nanos("25")
    subject = f"user:{alice.user.pk}"
    assert actions() == [("finance@example.com", "adjust balance", subject)]
    assert AuditEntry.objects.get().after == {"balance": "25.00", "reason": "Sorry"}


@pytest.mark.parametrize(
    "wrong",
    [{"amount": "0"}, {"amount": "100000.01"}, {"amount": "much"}, {"reason": " "}],
)
def test_a_credit_needs_an_amount_and_a_reason(alice: Person, wrong: dict[str, str]) -> None:
    assert credit(staff("finance"), alice, **wrong) == 200
    assert ledger.balance(alice.user.pk) == 0


def test_no_more_is_taken_than_there_is(alice: Person) -> None:
    assert credit(staff("finance"), alice, amount="-1") == 200
    assert ledger.balance(alice.user.pk) == 0
    assert actions() == []


def test_one_form_credits_once(alice: Person) -> None:
    client, once = staff("finance"), "8c5f3c1e-2f0a-4c3a-9d59-0a3a5f1b7c11"
    assert [credit(client, alice, once=once) for _ in range(2)] == [302, 302]
    assert ledger.balance(alice.user.pk) == nanos("25")


def test_support_freezes_and_unfreezes(alice: Person) -> None:
    assert freeze(staff("catalogue"), alice) == 403
    support = staff("support")
    assert freeze(support, alice) == 302
    assert freeze(support, alice) == 403, "it is frozen already"
    found = User.objects.get(pk=alice.user.pk)
    assert (found.frozen_at is None, found.frozen_reason) == (False, "Abuse")
    assert freeze(support, alice, "unfreeze") == 302
    assert User.objects.get(pk=alice.user.pk).frozen_at is None
    assert [action for _, action, _ in actions()] == ["freeze", "unfreeze"]


def test_a_customers_page_shows_money_keys_and_plan(alice: Person) -> None:
    ledger.post(key="a", kind="adjustment", user_id=alice.user.pk, amount=nanos("7.5"))
    client = staff("support")
    page = client.get(f"/admin/billing/customer/{alice.user.pk}/change/").content.decode()
    assert "$7.50" in page and alice.raw not in page
    assert "$7.50" in client.get("/admin/billing/customer/?q=alice").content.decode()
    changed = client.post(f"/admin/billing/customer/{alice.user.pk}/change/", {"name": "x"})
    assert changed.status_code == 403


def test_only_superusers_change_staff_and_privileges(alice: Person) -> None:
    finance = User.objects.create_user("f@example.com", PASSWORD, is_staff=True)
    client = staff("support")
    support = User.objects.get(email="support@example.com")
    group = Group.objects.get(name="support")
    group.permissions.add(Permission.objects.get(codename="change_user"))
    for victim in (finance, support):
        url = f"/admin/accounts/user/{victim.pk}"
        assert client.post(f"{url}/change/", {"email": victim.email}).status_code == 403
        assert client.post(f"{url}/password/", {"password1": "x"}).status_code == 403
    form = {"email": alice.user.email, "name": "A", "is_active": "on", "is_staff": "on"}
    form |= {"is_superuser": "on", "groups": str(group.pk)}
    assert client.post(f"/admin/accounts/user/{alice.user.pk}/change/", form).status_code == 302
    found = User.objects.get(pk=alice.user.pk)
    assert (found.name, found.is_staff, found.is_superuser) == ("A", False, False)
    assert not found.groups.exists()


def test_whatever_staff_do_in_the_admin_is_audited_once(alice: Person) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    form = {"email": alice.user.email, "name": "Alicia", "is_active": "on"}
    assert root.post(f"/admin/accounts/user/{alice.user.pk}/change/", form).status_code == 302
    assert actions() == [("root@example.com", "change", f"user:{alice.user.pk}")]
    assert AuditEntry.objects.get().after["what"] == [{"changed": {"fields": ["Name"]}}]
    root.post("/admin/auth/group/add/", {"name": "night shift"})
    group = Group.objects.get(name="night shift")
    root.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    assert [row[1:] for row in actions()[1:]] == [
        ("add", f"group:{group.pk}"),
        ("delete", f"group:{group.pk}"),
    ]
    assert LogEntry.objects.count() == AuditEntry.objects.count() == 3


def test_many_are_not_deleted_at_once_past_the_audit() -> None:
    assert "delete_selected" not in [name for name, _ in admin.site.actions]


PROMO = {
    "code": "spring",
    "kind": "percent",
    "amount": "10",
    "percent": "20",
    "trial_days": "0",
    "minimum_top_up": "5",
    "max_uses_per_account": "1",
    "valid_from_0": "2026-01-01",
    "valid_from_1": "00:00:00",
    "active": "on",
}


def test_finance_makes_promo_codes(alice: Person) -> None:
    assert staff("support").get("/admin/billing/promocode/add/").status_code == 403
    client = staff("finance")
    assert client.post("/admin/billing/promocode/add/", PROMO).status_code == 302
    body = {"code": "SPRING", "apply": True}
    confirm(alice.user)
    shown = alice.client().post("/api/billing/promo-code", body, format="json").json()
    assert shown["description"] == (
        "20 % of your next top-up, up to $10.00, with a top-up of at least $5.00."
    )
    (entry,) = actions()
    assert entry[:2] == ("finance@example.com", "add")
    assert "SPRING" in client.get("/admin/billing/promocode/").content.decode()


@pytest.mark.parametrize("wrong", [{"percent": "0"}, {"trial_days": "3"}, {"kind": "trial"}])
def test_a_promo_code_is_one_thing(wrong: dict[str, str]) -> None:
    answer = staff("finance").post("/admin/billing/promocode/add/", PROMO | wrong)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors


@pytest.mark.parametrize(("action", "status"), [("approve", "active"), ("reject", "rejected")])
def test_finance_reviews_referrals(alice: Person, bob: Person, action: str, status: str) -> None:
    referral = Referral.objects.create(
        referrer=alice.user,
        invitee=bob.user,
        status="review",
        signals=["card"],
        percent=10,
        basis="top_ups",
        hold_days=30,
        most=nanos("100"),
    )
    url = "/admin/billing/referral/"
    form = {"action": action, "_selected_action": [referral.pk]}
    staff("support").post(url, form)
    assert Referral.objects.get().status == "review"
    staff("finance").post(url, form)
    assert Referral.objects.get().status == status
    assert actions() == [("finance@example.com", action, f"referral:{referral.pk}")]


def test_preparing_makes_the_roles_and_leaves_them_alone() -> None:
    support = Group.objects.get(name="support")
    support.permissions.clear()
    Group.objects.get(name="finance").delete()
    call_command("prepare", verbosity=0)
    assert not support.permissions.exists()
    assert Group.objects.get(name="finance").permissions.exists()


def test_a_role_that_is_there_gets_what_is_new_and_not_what_staff_took_away() -> None:
    role = Group.objects.get(name="finance")
    taken = Permission.objects.get(codename="adjust_balance")
    newer = Permission.objects.get(codename="correct_requests")
    role.permissions.remove(taken, newer)
    RoleGrant.objects.filter(role="finance", codename="correct_requests").delete()
    for _ in range(2):
        call_command("prepare", verbosity=0)
        names = set(role.permissions.values_list("codename", flat=True))
        assert "correct_requests" in names and "adjust_balance" not in names


def test_roles_from_before_it_was_noted_get_what_is_new() -> None:
    """As a product of the last version is upgraded."""
    note = import_module("gateway.migrations.0011_role_grants")
    RoleGrant.objects.all().delete()
    old = {name for app in note.BEFORE["finance"].values() for name in app}
    role = Group.objects.get(name="finance")
    role.permissions.set(Permission.objects.filter(codename__in=old))
    role.permissions.remove(Permission.objects.get(codename="adjust_balance"))
    note.note(apps, None)
    seed()
    names = set(role.permissions.values_list("codename", flat=True))
    assert names == {n for app in ROLES["finance"].values() for n in app} - {"adjust_balance"}
