"""Staff read Vietnamese where they chose it: no page of the admin says a word of English.

English is what the product's own sentences are written in and its Vietnamese ones are not; names,
terms and what was typed are neither.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import polib
import pytest
from django.conf import settings as configured
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.plans.seed import seed as seed_billing
from billing.stripe.models import Quarantine
from cockpit.views import REPORTS
from cockpit.watch import findings
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles
from tests.gateway_server import fund
from tests.web.furnished import furnish, sign_in
from tests.world import Person, used

pytestmark = pytest.mark.any_database
SHOWN = ("aria-label", "title", "placeholder", "alt")
UNREAD = ("script", "style", "code", "pre", "textarea", "template", "svg")
# A name, a path, a number, a placeholder: whatever is no word.
NO_WORD = re.compile(r"\S*[\d@_./:%{}$-]\S*")
WORD = re.compile(r"(?<![\w-])[A-Za-z']{3,}(?![\w-])")


class Texts(HTMLParser):
    """What a page says, and to screen readers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in UNREAD or "material-symbols" in (given.get("class") or ""):
            self.within.append(tag)
        self.found += [given[name] or "" for name in SHOWN if name in given]
        if tag == "input" and given.get("type") == "submit":
            self.found.append(given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if self.within and tag == self.within[-1]:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if not self.within:
            self.found.append(data)


def words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(NO_WORD.sub(" ", text))}


@pytest.fixture(scope="module")
def english() -> set[str]:
    """The words of what is translated, but for those that its translations have, too."""
    entries = polib.pofile(str(Path(configured.BASE_DIR) / "locale/vi/LC_MESSAGES/django.po"))
    said = {word for each in entries for word in words(each.msgid)}
    shown = {word for each in entries for word in words(each.msgstr)}
    return said - shown


def said(page: str, english: set[str], data: set[str]) -> set[str]:
    reader = Texts()
    reader.feed(page)
    texts = {" ".join(text.split()) for text in reader.found}
    return {text for text in texts if words(text) & english and text not in data}


@pytest.fixture
def reader(db: None, settings: Settings, alice: Person) -> Client:
    """A superuser who reads Vietnamese, of a business with something on most pages."""
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "5"
    seed_billing()
    seed_catalogue()
    seed_roles()
    fund(alice, "100")
    used(alice)
    used(alice, status=500, error="upstream_error")
    furnish(alice)
    Quarantine.note("pi_odd", "unknown_order", {})
    findings.look(timezone.now())
    client = Client(HTTP_ACCEPT="text/html", raise_request_exception=False)
    owner = User.objects.create_superuser("staff@example.com", "x", language="vi")
    sign_in(client, owner)
    client.cookies[configured.LANGUAGE_COOKIE_NAME] = "vi"
    return client


def pages() -> Iterator[str]:
    yield from ("/admin/", reverse("cockpit-tables"))
    yield from (reverse("cockpit-report", args=[name]) for name in REPORTS)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_add")
        if (row := model._default_manager.order_by("-pk").first()) is not None:
            yield reverse(f"{name}_change", args=[row.pk])


def test_no_page_of_staffs_says_a_word_of_english(reader: Client, english: set[str]) -> None:
    found: dict[str, str] = {}
    for path in pages():
        answer = reader.get(path)
        if answer.status_code == 200 and not answer.streaming:
            for text in said(answer.content.decode(), english, set()):
                found.setdefault(text, path)

    __import__("pathlib").Path("/tmp/found.json").write_text(
        __import__("json").dumps(found, ensure_ascii=False)
    )
    assert found == {}
