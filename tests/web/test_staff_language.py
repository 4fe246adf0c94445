"""Staff read Vietnamese where they chose it: no page of the admin says a word of English.

English is what the product's own sentences are written in and its Vietnamese ones are not; names,
terms and what was typed are neither.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import polib
import pytest
from django.conf import settings as configured
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext
from pytest_django import Settings

from accounts.models import PersonalToken, User
from billing.books.audit_actions import ACTIONS
from billing.books.models import LedgerAccount, Transfer
from billing.mails.models import Announcement
from billing.plans.models import AddOn, Plan
from billing.plans.seed import seed as seed_billing
from billing.stripe.models import Quarantine
from cockpit import labels
from cockpit.views import REPORTS
from cockpit.watch import findings
from gateway.catalogue.features.models import Feature
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles
from gateway.usage.models import UsageEvent
from hontoni import errors
from tests.gateway_server import fund
from tests.web.furnished import furnish, sign_in
from tests.world import Person, used

pytestmark = pytest.mark.any_database
SHOWN = ("aria-label", "title", "placeholder", "alt")
UNREAD = ("script", "style", "code", "pre", "textarea", "template", "svg")
# A name, a path, a number, a placeholder: whatever is no word.
LOANED = {"website", "email", "english"}  # a language is called in its own words
NO_WORD = re.compile(r"\S*[\d@_./:%{}$-]\S*")
WORD = re.compile(r"(?<![\w-])[A-Za-z']{3,}(?![\w-])")


class Texts(HTMLParser):
    """What a page says, and to screen readers, but for what says itself that it is English."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        icon = "material-symbols" in (given.get("class") or "")
        if tag in UNREAD or icon or (given.get("lang") == "en" and tag != "input"):
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
    return said - shown - LOANED


def said(page: str, english: set[str], data: list[str]) -> set[str]:
    """What a page says in English, less what staff and customers have typed themselves."""
    reader = Texts()
    reader.feed(page)
    texts = {" ".join(each.split()) for each in reader.found}
    return {
        text for text in texts if any(_is_english(p, english, data) for p in text.split(" | "))
    }


def _is_english(piece: str, english: set[str], data: list[str]) -> bool:
    """Names of several words are found within a sentence, too."""
    rest = piece.lower()
    for typed in data:
        rest = rest.replace(typed, " ") if " " in typed else rest
    return bool(words(rest) & english) and NO_WORD.sub(" ", rest).strip(" ()") not in data


def typed() -> list[str]:
    """The longest first. "Rate Limit 2x" is the name of what is sold, not a sentence of ours."""
    named: tuple[tuple[type[Model], str], ...] = (
        *((Plan, "name"), (AddOn, "name"), (Group, "name"), (LedgerAccount, "code")),
        *((Feature, "name"), (Feature, "note"), (Transfer, "reason"), (PersonalToken, "name")),
        *((Announcement, "body"), (UsageEvent, "tool")),
    )
    found = {
        text
        for model, column in named
        for text in model._default_manager.values_list(column, flat=True)
    }
    return sorted({each.lower() for each in found if each}, key=len, reverse=True)


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
    """The home, every report, and of every table its list and a form (a row's, if any)."""
    yield from ("/admin/", reverse("cockpit-tables"), reverse("cockpit-preferences"))
    yield from (reverse("cockpit-report", args=[name]) for name in REPORTS)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        row = model._default_manager.order_by("-pk").first()
        yield reverse(f"{name}_change", args=[row.pk]) if row else reverse(f"{name}_add")


def test_no_page_of_staffs_says_a_word_of_english(reader: Client, english: set[str]) -> None:
    data, found = typed(), dict[str, str]()
    for path in pages():
        answer = reader.get(path)
        if answer.status_code == 200 and not answer.streaming:
            for text in said(answer.content.decode(), english, data):
                found.setdefault(text, path)
    assert found | answered(reader, english, data) == {}


def test_every_label_of_a_table_has_its_vietnamese() -> None:
    with translation.override("en"):
        shown = {each for each in labels.shown() if each}
    files = (Path(path) / "vi/LC_MESSAGES/django.po" for path in configured.LOCALE_PATHS)
    known = {entry.msgid for file in files for entry in polib.pofile(str(file))}
    with translation.override("vi"):
        assert sorted(each for each in shown - known if gettext(each) == each) == []


def test_every_deed_that_the_audit_knows_has_its_vietnamese() -> None:
    with translation.override("vi"):
        assert [deed for deed in ACTIONS if gettext(deed) == deed] == []


# Where what staff send may be refused. Their pages say why by `to_staff`, or by a field's error.
REFUSING = (
    *("billing/books", "billing/staff", "billing/plans/raises.py", "billing/payments/closing.py"),
    *("billing/payments/disputes.py", "billing/payments/refunds.py", "cockpit"),
    *("billing/payments/balance_refunds.py", "billing/subscriptions/complimentary.py"),
    *("billing/subscriptions/renewals.py", "gateway/pricing", "gateway/catalogue/prices"),
    *("gateway/catalogue/own_prices", "gateway/catalogue/features", "gateway/usage/corrections"),
    *("gateway/vendors/models.py", "gateway/vendors/routing", "accounts/legal", "accounts/people"),
    "gateway/reconciliation/vendors",
)
NOT_PAGES = ("account_opening.py", "sift.py")  # a command, and requests to a model


def refusals() -> Iterator[tuple[str, str, ast.expr]]:
    """Every error that is raised there: where, its class, and what it says."""
    kinds = {"ApiError", "ValidationError"} | {kind.__name__ for kind in _below(errors.ApiError)}
    kinds |= {"BadReport", "Refused"}
    base = Path(configured.BASE_DIR)
    for place in REFUSING:
        path = base / place
        for file in [path] if path.suffix else path.rglob("*.py"):
            raised = (node for node in ast.walk(ast.parse(file.read_text())))
            for call in (node.exc for node in raised if isinstance(node, ast.Raise)):
                if not isinstance(call, ast.Call) or not call.args or file.name in NOT_PAGES:
                    continue
                name = ast.unparse(call.func).rpartition(".")[2]
                if name in kinds:
                    yield f"{file.relative_to(base)}:{call.lineno}", name, call.args[0]


def _below(kind: type) -> Iterator[type]:
    one: type
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_why_something_is_refused_has_its_vietnamese() -> None:
    """A sentence with a value in it is a template (`about`): else nobody could translate it."""
    with translation.override("vi"):
        untold = {
            place: ast.unparse(text)
            for place, kind, text in refusals()
            if isinstance(text, ast.JoinedStr)
            or (isinstance(text, ast.Constant) and kind == "ValidationError")
            or (isinstance(text, ast.Constant) and gettext(str(text.value)) == text.value)
        }
    assert untold == {}


def posts() -> Iterator[tuple[str, dict[str, str]]]:
    """What a page only says when something is sent: forms with nonsense in them, deeds, and what
    is done to the chosen rows of a list, forms that ask why among them."""
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.order_by("-pk").first()
        forms = [reverse(f"{name}_add")]
        if row is not None:
            for deed in _deeds(getattr(page, "actions_detail", ())):
                forms.append(reverse(f"{name}_{deed}", args=[row.pk]))
            for done in page.actions or ():
                named = done if isinstance(done, str) else done.__name__
                chosen = {"action": named, "_selected_action": str(row.pk)}
                yield reverse(f"{name}_changelist"), chosen
        for form in forms:
            yield form, dict.fromkeys(GUESSED, "-7")


# A name, and what Django and httpx say in English alone of what no page sends.
FOREIGN = ("Brave Search", "ManagementForm", "Không được nhận: Request URL")
GUESSED = (
    *("amount", "reason", "input", "output", "id", "name", "slug", "days", "times", "of", "email"),
    *("effective_at_0", "effective_at_1", "base_url", "region", "multiplier", "month", "factor"),
)


def _deeds(given: Iterable[object]) -> Iterator[str]:
    for each in given or ():
        yield from each["items"] if isinstance(each, dict) else [str(each)]


def answered(reader: Client, english: set[str], data: list[str]) -> dict[str, str]:
    """What is answered in English to what is sent."""
    found = dict[str, str]()
    for path, sent in posts():
        answer = reader.post(path, sent, follow=True)
        assert answer.status_code < 500, path
        if path.endswith("/preview/") or answer.streaming:
            continue  # as its readers see it, in both languages
        for text in said(answer.content.decode(), english, data):
            if not text.startswith(FOREIGN):
                found.setdefault(text, f"{path} {sent}")
    return found
