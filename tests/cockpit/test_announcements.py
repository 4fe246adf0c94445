"""What staff announce reaches whom it concerns, once, in their language, until it is dismissed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.books.models import AuditEntry
from billing.mails.models import Announcement, Preferences, Told
from billing.plans.models import Plan, Subscription
from billing.plans.seed import seed as seed_plans
from cockpit import announcing
from gateway.usage.models import UsageHour
from tests.billing.mails.test_mails import deliver
from tests.gateway.usage.test_quarantine import staff
from tests.world import Person, used

NOW = timezone.now()
ADMIN = "/admin/billing/announcement/"


def announcement(**fields: Any) -> Announcement:
    words = {
        "title": "Maintenance",
        "body": "On Sunday, see https://status.example.com",
        "by": "x",
    }
    vietnamese = {"title_vi": "Bảo trì", "body_vi": "Vào Chủ nhật"}
    times = {"starts_at": NOW, "ends_at": NOW + timedelta(days=2), "released_at": NOW}
    return Announcement.objects.create(**words | vietnamese | times | {"mail": True} | fields)


def announce(days: float = 0) -> int:
    return announcing.announce(timezone.now() + timedelta(days=days))


def page(who: Person) -> str:
    client = Client()
    client.force_login(who.user, "allauth.account.auth_backends.AuthenticationBackend")
    return str(client.get("/account").content.decode())


def confirm(*people: Person) -> None:
    for each in people:
        email = each.user.email
        EmailAddress.objects.create(user=each.user, email=email, verified=True, primary=True)


def readers() -> list[str]:
    deliver()
    return sorted(sent.to[0] for sent in mail.outbox)


def test_everybody_hears_of_it_once(alice: Person, bob: Person) -> None:
    staff("support")
    User.objects.filter(pk=bob.user.pk).update(language="vi")
    announcement()
    assert [announce(), announce()] == [2, 0]
    assert readers() == ["alice@example.com", "bob@example.com"]
    english, vietnamese = sorted(mail.outbox, key=lambda sent: sent.to)
    assert english.subject == "Maintenance" and "On Sunday" in english.body
    assert vietnamese.subject == "Bảo trì" and "Vào Chủ nhật" in vietnamese.body
    assert deliver(600) == 0


def test_it_begins_and_ends_by_itself(alice: Person) -> None:
    announcement(starts_at=NOW + timedelta(hours=1))
    assert announce() == 0 and "Maintenance" not in page(alice)
    assert announce(days=0.1) == 1 and "Maintenance" in page(alice)
    Announcement.objects.update(ends_at=NOW + timedelta(hours=2), starts_at=NOW)
    Announcement.objects.update(ends_at=timezone.now(), starts_at=NOW - timedelta(days=1))
    assert "Maintenance" not in page(alice)


def test_who_comes_later_sees_the_banner_and_gets_no_mail(alice: Person, db: None) -> None:
    announcement()
    announce()
    bob = User.objects.create_user("later@example.com", "x")
    assert announce() == 1
    assert readers() == ["alice@example.com"]
    assert not Told.objects.get(user=bob).mailed


def test_a_draft_goes_nowhere(alice: Person) -> None:
    announcement(released_at=None)
    assert announce() == 0 and "Maintenance" not in page(alice)


def test_a_banner_is_dismissed_for_good(alice: Person, bob: Person) -> None:
    announcement()
    announce()
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    shown = client.get("/account").content.decode()
    assert '<a href="https://status.example.com"' in shown
    action = re.search(r'action="(/announcements/\d+/dismiss)"', shown)
    assert action
    answer = client.post(action[1], {"next": "//evil.example"})
    assert answer["location"] == "/overview"
    announce()
    assert "Maintenance" not in page(alice) and "Maintenance" in page(bob)


def test_a_banner_is_text(alice: Person) -> None:
    announcement(title="<b>x</b>", body="<script>alert(1)</script>")
    announce()
    assert "<b>x</b>" not in page(alice) and "<script>alert" not in page(alice)


def test_for_who_has_a_plan(alice: Person, bob: Person, carol: Person) -> None:
    seed_plans()
    basic, default = Plan.objects.get(slug="basic"), Plan.objects.get(is_default=True)
    month = {"period_start": NOW, "period_end": NOW + timedelta(days=30)}
    Subscription.objects.create(user=alice.user, plan=basic, **month)
    Subscription.objects.create(user=bob.user, plan=basic, status="ended", **month)
    announcement(audience="plan", title="For Basic").plans.set([basic])
    announcement(audience="plan", title="For all others").plans.set([default])
    assert announce() == 3
    told = {(row.announcement.title, row.user_id) for row in Told.objects.all()}
    others = {("For all others", each.user.pk) for each in (bob, carol)}
    assert told == {("For Basic", alice.user.pk), *others}


def test_for_who_used_a_model(alice: Person, bob: Person, carol: Person) -> None:
    used(alice)
    for who, ago in ((alice, 3), (bob, 40)):
        hour = NOW - timedelta(days=ago)
        UsageHour.objects.create(user=who.user, api_key=who.key, model="gpt-4o", hour=hour)
    announcement(audience="model", model="gpt-4o")
    assert announce() == 1 and Told.objects.get().user == alice.user


def test_news_go_to_confirmed_readers_who_want_them(alice: Person, bob: Person) -> None:
    confirm(alice)
    announcement(kind="news", title="A new model")
    announce()
    assert readers() == ["alice@example.com"]
    (sent,) = mail.outbox
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = sent.extra_headers["List-Unsubscribe"].strip("<>")
    assert address in sent.body
    path = "/" + address.split("/", 3)[3]
    assert Client().get(path).status_code == 200
    assert Preferences.of(alice.user).unwanted == [], "looking at it changes nothing"
    assert Client(enforce_csrf_checks=True).post(path).status_code == 200
    assert Preferences.of(alice.user).unwanted == ["news"]
    announcement(kind="news", title="Another")
    announcement(title="Maintenance")
    announce()
    deliver()
    assert sorted(each.subject for each in mail.outbox if each.to == ["alice@example.com"]) == [
        "A new model",
        "Maintenance",
    ]
    assert Client().get(path[:-1] + "_").status_code == 404


# -- Staff ---------------------------------------------------------------------------------------


def _fields(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "service", "title": "Maintenance", "title_vi": "Bảo trì", "body": "On Sunday",
        "body_vi": "Vào Chủ nhật", "audience": "all", "banner": "on", "mail": "on",
        "starts_at_0": f"{NOW:%Y-%m-%d}", "starts_at_1": "00:00:00",
        "ends_at_0": f"{NOW + timedelta(days=3):%Y-%m-%d}", "ends_at_1": "00:00:00", **changes,
    }  # fmt: skip


def test_from_a_draft_to_the_customer_and_back(alice: Person) -> None:
    finance = staff("finance")
    assert finance.post(f"{ADMIN}add/", _fields()).status_code == 302
    draft = Announcement.objects.get()
    one = f"{ADMIN}{draft.pk}/"
    shown = finance.get(f"{one}preview/").content.decode()
    assert "Bảo trì" in shown and "On Sunday" in shown and "<strong>1</strong>" in shown
    finance.get(f"{one}test/")
    assert mail.outbox == []
    finance.post(f"{one}test/")
    assert [sent.to for sent in mail.outbox] == [["finance@example.com"]] * 2
    assert announce() == 0
    finance.post(f"{one}release/")
    assert AuditEntry.objects.filter(action="release").exists()
    assert finance.post(f"{one}change/", _fields(title="Other")).status_code == 403
    assert announce() == 1 and "Maintenance" in page(alice)
    finance.post(f"{one}withdraw/")
    assert "Maintenance" not in page(alice) and announce() == 0
    assert finance.post(f"{one}release/").status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"banner": "", "mail": ""},
        {"audience": "plan"},
        {"audience": "model", "model": "nothing"},
        {"ends_at_0": "2020-01-01"},
        {"title_vi": ""},
    ],
)
def test_half_of_one_is_not_saved(db: None, wrong: dict[str, str]) -> None:
    answer = staff("finance").post(f"{ADMIN}add/", _fields(**wrong))
    assert answer.status_code == 200 and not Announcement.objects.exists()


def test_a_scheduled_one_goes_back_to_be_a_draft(alice: Person) -> None:
    later = announcement(starts_at=NOW + timedelta(hours=1))
    staff("finance").post(f"{ADMIN}{later.pk}/withdraw/")
    later.refresh_from_db()
    assert later.status == "draft"


def test_support_reads_them_and_releases_none(alice: Person) -> None:
    draft = announcement(released_at=None)
    support = staff("support")
    assert support.get(f"{ADMIN}{draft.pk}/change/").status_code == 200
    assert support.post(f"{ADMIN}{draft.pk}/release/").status_code == 403
