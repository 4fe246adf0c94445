"""What staff do to a customer from their page: with a reason, audited, and only what applies."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import ApiKey, User
from accounts.sign_in import viewing
from billing.books.ledger import balance
from billing.books.models import AuditEntry
from billing.payments.models import TopUp
from billing.plans import raises, terms
from billing.plans.models import LimitRaise, Plan, Subscription
from billing.staff.models import CustomerNote
from billing.subscriptions import balance_changes, complimentary
from billing.tasks import end_limit_raises
from hontoni import errors
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

PAGE = "/admin/billing/customer/{}/{}/"
SEED = "JBSWY3DPEHPK3PXP"


def code() -> str:
    counter = next(totp.yield_hotp_counters_from_time())
    return str(totp.format_hotp_value(totp.hotp_value(SEED, counter)))


def do(client: Client, person: Person, deed: str, **given: Any) -> Any:
    return client.post(PAGE.format(person.user.pk, deed), given, follow=True)


def audited(person: Person) -> list[str]:
    found = AuditEntry.objects.filter(subject=f"user:{person.user.pk}").order_by("pk")
    return list(found.values_list("action", flat=True))


# -- Limits, trials, notes, the end --------------------------------------------------------------


def test_limits_are_raised_for_a_time_and_end_by_themselves(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    before = terms.terms(alice.user.pk).limits
    support = staff("support")
    assert do(support, alice, "raise-limits", times=3, days=2, reason="Launch").status_code == 200
    assert terms.terms(alice.user.pk).limits == before.times(3)
    answer = gateway.chat(alice)
    assert answer.headers["x-ratelimit-limit-rpm"] == str(before.rpm * 3)
    LimitRaise.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert terms.terms(alice.user.pk).limits == before
    assert end_limit_raises() == 1 and end_limit_raises() == 0
    assert gateway.chat(alice).headers["x-ratelimit-limit-rpm"] == str(before.rpm)
    do(support, alice, "raise-limits", times=2, days=1, reason="Again")
    do(support, alice, "raise-limits", times=5, days=1, reason="More")
    assert raises.of(alice.user.pk, timezone.now()).multiplier == 5  # type: ignore[union-attr]
    do(support, alice, "lower-limits", reason="Enough")
    assert terms.terms(alice.user.pk).limits == before
    assert audited(alice)[-4:] == ["raise limits"] * 3 + ["lower limits"]


def test_a_trial_lasts_longer_and_nothing_else_does(gateway: Gateway, alice: Person) -> None:
    finance, now = staff("finance"), timezone.now()
    deed = PAGE.format(alice.user.pk, "extend-trial")
    assert finance.get(deed).status_code == 403, "there is none"
    plan = Plan.objects.get(slug="standard")
    ends = now + timedelta(days=7)
    with transaction.atomic():
        complimentary.give(alice.user.pk, plan, None, until=ends, now=now)
    do(finance, alice, "extend-trial", days=10, reason="Was ill")
    mine = Subscription.objects.get()
    assert mine.period_end == ends + timedelta(days=10) and mine.cancel_at_period_end
    entry = AuditEntry.objects.get(action="extend trial")
    assert entry.before == {"ends": ends.isoformat()} and entry.after["reason"] == "Was ill"


def test_a_plan_is_ended_and_kept_from_the_customers_page(gateway: Gateway, alice: Person) -> None:
    finance, now = staff("finance"), timezone.now()
    assert finance.get(PAGE.format(alice.user.pk, "end-plan")).status_code == 403, "there is none"
    fund(alice, "100")
    plan = Plan.objects.get(slug="basic")
    balance_changes.subscribe(alice.user.pk, plan, now=now)
    left = balance(alice.user.pk)
    do(finance, alice, "end-plan", when="period", reason="They want out")
    assert Subscription.objects.get().cancel_at_period_end
    do(finance, alice, "keep-plan", reason="They stay")
    mine = Subscription.objects.get()
    assert not mine.cancel_at_period_end and balance(alice.user.pk) == left
    assert finance.get(PAGE.format(alice.user.pk, "keep-plan")).status_code == 403
    do(finance, alice, "end-plan", when="now", reason="")
    assert Subscription.objects.get().status == "active", "no reason"
    do(finance, alice, "end-plan", when="now", reason="At once")
    assert Subscription.objects.get().status == "ended" and balance(alice.user.pk) > left
    reasons = AuditEntry.objects.filter(subject=f"user:{alice.user.pk}").order_by("pk")
    assert [(each.action, each.after["reason"]) for each in reasons] == [
        ("cancel subscription", "They want out"),
        ("resume subscription", "They stay"),
        ("end subscription", "At once"),
    ]
    assert staff("auditor").get(PAGE.format(alice.user.pk, "end-plan")).status_code == 403


def test_a_refund_begins_at_the_customer(alice: Person) -> None:
    finance, page = staff("finance"), PAGE.format(alice.user.pk, "refund")
    assert finance.get(page).status_code == 403, "nothing was paid"
    orders = [paid(alice, intent) for intent in ("pi_1", "pi_2")]
    TopUp.objects.update(charged_cents=1000)
    listed = finance.get(page).content.decode()
    assert all(f'value="topup:{order.pk}"' in listed for order in orders)
    assert staff("support").get(page).status_code == 403


def paid(person: Person, intent: str) -> TopUp:
    return TopUp.objects.create(user=person.user, amount=10**10, state="paid", intent_id=intent)


def test_a_note_is_for_staff_and_goes_with_the_account(gateway: Gateway, alice: Person) -> None:
    support = staff("support")
    page = do(support, alice, "note", text="Asks for an invoice every month.").content.decode()
    assert "Asks for an invoice" in page
    boss = User.objects.create_superuser("boss@example.com", "x")
    totp.TOTP.activate(boss, SEED)
    owner = Client()
    owner.force_login(boss)
    wrong = do(owner, alice, "close", email="bob@example.com", reason="Asked us to")
    assert (
        "not its address" in wrong.content.decode()
        and User.objects.get(pk=alice.user.pk).is_active
    )
    do(owner, alice, "close", email=alice.user.email, reason="Asked us to")
    assert not User.objects.get(pk=alice.user.pk).is_active
    assert not CustomerNote.objects.exists()
    assert gateway.chat(alice).status_code == 401
    assert owner.get(PAGE.format(boss.pk, "close")).status_code == 403, "staff are not deleted so"
    assert support.get(PAGE.format(alice.user.pk, "close")).status_code == 403


def test_all_that_is_kept_can_be_exported(gateway: Gateway, alice: Person) -> None:
    from asgiref.sync import async_to_sync

    async def read(response: Any) -> bytes:
        return b"".join([part async for part in response])

    answer = staff("finance").get(PAGE.format(alice.user.pk, "export"))
    found = json.loads(async_to_sync(read)(answer))
    assert found["account"]["email"] == alice.user.email and "export customer" in audited(alice)
    assert staff("support").get(PAGE.format(alice.user.pk, "export")).status_code == 403


def test_an_own_price_begins_at_the_customer(gateway: Gateway, alice: Person) -> None:
    catalogue = staff("catalogue")
    catalogue_user = User.objects.get(email="catalogue@example.com")
    from django.contrib.auth.models import Permission

    catalogue_user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    answer = catalogue.get(PAGE.format(alice.user.pk, "own-price"))
    assert answer.status_code == 302 and answer["Location"].endswith(f"?user={alice.user.pk}")


def test_requests_are_seen_as_they_come(gateway: Gateway, alice: Person) -> None:
    support = staff("support")
    page = PAGE.format(alice.user.pk, "live")
    assert "every 2s" in support.get(page).content.decode()
    fund(alice, "10")
    gateway.chat(alice)
    (event,) = gateway.books()
    part = support.get(page, HTTP_HX_REQUEST="true").content.decode()
    assert event.request_id in part and "<html" not in part


# -- Looking as a customer -----------------------------------------------------------------------


@pytest.fixture
def looking(gateway: Gateway, alice: Person) -> Iterator[Client]:
    cache.clear()
    support = staff("support")
    assert (
        "You see what" in do(support, alice, "look", reason="Asked", code=code()).content.decode()
    )
    yield support


def test_staff_see_what_a_customer_sees_and_that_they_do(looking: Client, alice: Person) -> None:
    page = looking.get("/keys").content.decode()
    assert alice.key.prefix in page and "You see what alice@example.com sees" in page
    assert alice.raw not in page
    assert "look as customer" in audited(alice)
    assert looking.get("/admin/").context["user"].email == "support@example.com"
    looking.get("/admin/billing/customer/look/end")
    assert audited(alice)[-1] == "end looking"
    assert alice.key.prefix not in looking.get("/keys").content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/account/2fa/recovery-codes/", "/account/2fa/totp/activate/", "/account/export",
        "/account", "/account/password/change/", "/account/sessions/", "/account/delete",
        "/account/email/", "/playground", "/billing/portal", "/usage.csv",
    ],
)  # fmt: skip
def test_no_page_with_a_secret_or_a_deed_is_shown(looking: Client, path: str) -> None:
    assert looking.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/keys", "/billing/sandbox", "/account/privacy", "/overview"])
def test_nothing_can_be_changed(looking: Client, alice: Person, path: str) -> None:
    answer = looking.post(path, {"name": "theirs", "once": "x"})
    assert answer.status_code == 403 and ApiKey.objects.filter(user=alice.user).count() == 1


def test_it_ends_by_itself_and_with_the_role(looking: Client, alice: Person) -> None:
    session = looking.session
    session["viewing"] = session["viewing"] | {"until": timezone.now().isoformat()}
    session.save()
    assert alice.key.prefix not in looking.get("/keys").content.decode()
    do(looking, alice, "look", reason="Again", code="000000")
    assert "viewing" not in looking.session, "a wrong code"


def test_what_cannot_be_shown_now_is_said_as_to_the_customer(
    looking: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(user_id: int) -> int:
        raise errors.Unavailable("Limits cannot be checked.", headers={"Retry-After": "2"})

    monkeypatch.setattr("billing.pages.billing_views.balances.live", away)
    theirs = looking.get("/billing")
    assert (theirs.status_code, theirs["Retry-After"]) == (503, "2")


def test_nobody_looks_without_a_second_factor_or_at_staff(
    gateway: Gateway, alice: Person, bob: Person, settings: Settings
) -> None:
    settings.SANDBOX = True  # where staff need none to act
    boss = User.objects.create_superuser("boss@example.com", "x")
    owner = Client()
    owner.force_login(boss)
    answer = do(owner, alice, "look", reason="Curious", code="123456")
    assert "second factor" in answer.content.decode() and "viewing" not in owner.session
    User.objects.filter(pk=bob.user.pk).update(is_staff=True)
    assert owner.get(PAGE.format(bob.user.pk, "look")).status_code == 403
    assert viewing.MINUTES <= 60


def test_the_page_and_its_deeds_speak_vietnamese(gateway: Gateway, alice: Person) -> None:
    finance = staff("finance")
    finance.cookies["django_language"] = "vi"
    page = finance.get(f"/admin/billing/customer/{alice.user.pk}/change/").content.decode().lower()
    assert all(word in page for word in ("ghi có", "đóng băng", "số dư", "yêu cầu trực tiếp"))
    answer = finance.get(PAGE.format(alice.user.pk, "credit")).content.decode()
    assert all(word in answer for word in ("Lý do", "Số tiền", "Khách hàng thấy nội dung này."))
    assert "Đã đóng băng" in do(finance, alice, "freeze", reason="Thẻ lạ").content.decode()
