"""The legal pages: which version holds, who wrote it, and who agreed to it by which door."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.legal import consents, texts
from accounts.models import Consent, LegalText, User
from accounts.sign_in import deletion
from billing.plans.seed import seed as seed_billing
from gateway.catalogue.seed import seed as seed_catalogue
from tests.world import PASSWORD, Person

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
PAGES = ["terms", "privacy", "refunds", "contact"]


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def write(page: str, words: str, days: int) -> LegalText:
    """The next version of a page, in force so many days from now."""
    return LegalText.objects.create(
        page=page,
        version=texts.next_version(page),
        english=words,
        effective_at=timezone.now() + timedelta(days=days),
    )


def agreed(user: User) -> dict[str, tuple[int, str]]:
    return {each.page: (each.version, each.through) for each in user.consents.all()}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_from_the_first_day_in_both_languages(
    page: str, client: Client, settings: Settings
) -> None:
    settings.SELLER_NAME, settings.SELLER_EMAIL = "Acme Ltd", "help@acme.example"
    texts.seed()
    english = client.get(f"/{page}")
    vietnamese = client.get(f"/{page}", headers={"Accept-Language": "vi"})
    for answer in (english, vietnamese):
        assert answer.status_code == 200
        assert re.search("help@acme.example|Acme Ltd", text(answer)) and not re.search(
            r"\{\w+\}", text(answer)
        )
    assert "Version 1" in text(english)
    assert text(english) != text(vietnamese)


def test_the_contact_page_says_who_sells(client: Client, settings: Settings) -> None:
    settings.SELLER_NAME, settings.SELLER_ADDRESS = "Acme Ltd", "1 Main Street; Springfield"
    settings.SELLER_TAX_ID, settings.SELLER_COUNTRY = "VN-123", "VN"
    page = text(client.get("/contact"))
    assert all(word in page for word in ("Acme Ltd", "1 Main Street", "Springfield", "VN-123"))


def test_a_version_holds_from_its_moment_on_and_the_earlier_one_stays_readable(
    client: Client,
) -> None:
    texts.seed()
    write("terms", "Second *words*.", days=1)
    page = text(client.get("/terms"))
    assert "Second" not in page and "Version 2 follows on" in page
    assert client.get("/terms?version=2").status_code == 404
    LegalText.objects.filter(version=2).update(effective_at=timezone.now())
    page = text(client.get("/terms"))
    assert "Second <em>words</em>." in page and "Version 2" in page
    old = text(client.get("/terms?version=1"))
    assert "does not hold any more" in old and "What you get" in old
    for odd in ("0", "x", "9" * 30, "-1"):
        assert client.get(f"/terms?version={odd}").status_code == 404


def test_what_staff_write_is_words_and_no_tags(client: Client) -> None:
    write("terms", "<script>alert(1)</script> <form action=//evil.example> {seller}", days=0)
    page = text(client.get("/terms"))
    assert "&lt;script&gt;" in page and "<form action=//evil" not in page


def test_seeding_again_changes_nothing() -> None:
    texts.seed()
    LegalText.objects.filter(page="terms").update(english="As agreed.")
    texts.seed()
    assert LegalText.objects.get(page="terms").english == "As agreed."
    assert LegalText.objects.count() == len(PAGES)


# -- Consent -------------------------------------------------------------------------------------


def test_signing_up_on_the_page_agrees_to_what_is_linked_there(client: Client) -> None:
    texts.seed()
    write("terms", "Newer.", days=0)
    form = text(client.get("/account/signup/"))
    assert 'href="/terms"' in form and 'href="/privacy"' in form
    client.post("/account/signup/", {"email": "dora@example.com", "password1": PASSWORD})
    dora = User.objects.get(email="dora@example.com")
    assert agreed(dora) == {"terms": (2, "page"), "privacy": (1, "page")}


def test_registering_by_the_api_agrees_too_and_the_answer_says_to_what(api: APIClient) -> None:
    answer = api.post(
        "/api/auth/register", {"email": "dora@example.com", "password": PASSWORD}, format="json"
    )
    assert answer.status_code == 201
    assert 'rel="terms-of-service"' in answer["Link"] and "/privacy>" in answer["Link"]
    dora = User.objects.get(email="dora@example.com")
    assert agreed(dora) == {"terms": (1, "api"), "privacy": (1, "api")}


def test_newer_terms_are_shown_until_they_are_agreed_to(alice: Person, client: Client) -> None:
    seed_billing()
    seed_catalogue()
    texts.seed()
    consents.record(alice.user, through="page", now=timezone.now())
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert "/account/agree" not in text(client.get("/overview"))
    write("privacy", "Newer.", days=0)
    page = text(client.get("/overview"))
    assert 'action="/account/agree"' in page and 'href="/privacy"' in page
    assert client.post("/account/agree")["Location"] == "/overview"
    assert agreed(alice.user)["terms"] == (1, "page")
    assert Consent.objects.filter(user=alice.user, page="privacy", version=2).exists()
    assert "/account/agree" not in text(client.get("/overview"))


def test_agreeing_twice_keeps_the_first_moment(alice: Person) -> None:
    began = timezone.now()
    consents.record(alice.user, through="page", now=began)
    consents.record(alice.user, through="api", now=began + timedelta(days=1))
    assert {each.agreed_at for each in alice.user.consents.all()} == {began}


def test_a_deleted_account_has_agreed_to_nothing(alice: Person) -> None:
    consents.record(alice.user, through="page", now=timezone.now())
    deletion.delete(alice.user)
    assert not Consent.objects.exists()


# -- Staff ---------------------------------------------------------------------------------------


@pytest.fixture
def staff(client: Client) -> Client:
    texts.seed()
    boss = User.objects.create_superuser("boss@example.com", PASSWORD)
    client.force_login(boss, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_staff_write_the_next_version_from_the_words_that_hold(staff: Client) -> None:
    form = text(staff.get("/admin/accounts/legaltext/add/?page=refunds"))
    assert "What {seller} gives back" in form
    later = timezone.now() + timedelta(days=30)
    staff.post(
        "/admin/accounts/legaltext/add/",
        {
            "page": "refunds",
            "english": "All of it.",
            "vietnamese": "",
            "effective_at_0": f"{later:%Y-%m-%d}",
            "effective_at_1": "00:00:00",
        },
    )
    (made,) = LegalText.objects.filter(page="refunds", version=2)
    assert "All of it." not in text(staff.get("/refunds"))
    assert staff.post(f"/admin/accounts/legaltext/{made.pk}/delete/", {"post": "yes"})
    assert not LegalText.objects.filter(pk=made.pk).exists()


def test_what_holds_is_neither_changed_nor_deleted(staff: Client) -> None:
    held = LegalText.objects.get(page="terms")
    url = f"/admin/accounts/legaltext/{held.pk}"
    staff.post(f"{url}/change/", {"page": "terms", "english": "Mine now."})
    assert staff.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
    held.refresh_from_db()
    assert "Mine now." not in held.english
