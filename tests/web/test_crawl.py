"""Everything that can be pressed works: every link is followed and every form is sent, as a
visitor, as a customer with everything, as one with nothing, and as staff; and who speaks
Vietnamese is never answered in English."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import resolve
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.plans.models import Plan
from billing.plans.seed import seed as seed_billing
from billing.subscriptions import balance_changes
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles
from gateway.usage.models import Refusal
from tests.gateway_server import fund
from tests.web.crawling import Form, english, read
from tests.web.furnished import furnish, sign_in
from tests.world import Person, used

pytestmark = pytest.mark.any_database

# What is called so in every language, and what staff of the small world noted.
_NAMES = re.compile(r"Pay as you go|sk-gw-your-key|for the test")
_DETAILS = {
    "rule": "drained",
    "left_out": ["tool:web_search (balance)"],
    "clamps": {"max_tokens": {"asked": 9_000, "applied": 900, "by": "balance"}},
    "attempts": [{"status": 529, "error": "overloaded_error", "ms": 9}, {"status": 200, "ms": 9}],
}
# What is a file by its name, and is kept rather than read.
_FILES = (
    *("text/csv", "application/vnd.apache.parquet"),
    *("application/pdf", "application/json", "application/zip", "application/x-jsonl"),
)


@pytest.fixture(autouse=True)
def _seeded(db: None, settings: Settings) -> None:
    settings.SANDBOX, settings.SIGNUP_CREDIT = True, "5"
    seed_billing()
    seed_catalogue()
    seed_roles()


class Visit:
    """One person's walk through all pages they can find. `faults` says what did not work."""

    def __init__(
        self, user: User | None, begin: list[str], inside: str = "", language: str = "en"
    ) -> None:
        self.user, self.waiting, self.inside = user, list(begin), inside
        self.language = language
        self.seen: set[Any] = set()
        self.sent: set[Any] = set()
        self.pages, self.token = 0, ""
        self.faults: list[str] = []

    def walk(self) -> "Visit":
        while self.waiting:
            self._open(self.waiting.pop())
        return self

    def _client(self) -> Client:
        client = Client(enforce_csrf_checks=True, HTTP_ACCEPT="text/html")
        client.cookies["django_language"] = self.language
        if self.user is not None:
            sign_in(client, self.user)
        return client

    def _open(self, url: str) -> None:
        if not self._is_new(url):
            return
        client = self._client()
        answer = client.get(url, follow=True)
        self.pages += 1
        if not self._is_page(f"GET {url}", answer):
            return
        here = answer.request
        address = f"{here['PATH_INFO']}?{here['QUERY_STRING']}".rstrip("?")
        found = read(answer.content.decode(), address)
        self.waiting += found.links
        token = client.cookies.get("csrftoken")
        self.token = token.value if token else ""
        for form in found.forms:
            if form.sendable and form.shape not in self.sent:
                self.sent.add(form.shape)
                self._send(address, form)

    def _is_new(self, url: str) -> bool:
        """Whether nothing like it was seen: of a list of a thousand keys one is opened."""
        parts = urlsplit(url)
        ours = parts.scheme in ("", "http") and parts.netloc in ("", "testserver")
        if not ours or not parts.path.startswith(f"/{self.inside}"):
            return False
        if parts.path.startswith("/static/"):
            return False
        try:
            match = resolve(parts.path)
        except Exception:
            self.faults.append(f"a link to {url}, which is nowhere")
            return False
        slugs = match.kwargs.get("slug", "") if match.view_name == "docs-page" else ""
        # Staff's lists have a link for every order and filter of every column.
        names = frozenset(name for name, _ in parse_qsl(parts.query) if not self.inside)
        shape = (match.view_name or match.func, slugs, names)
        new = shape not in self.seen
        self.seen.add(shape)
        return new

    def _is_page(self, what: str, answer: Any) -> bool:
        kind, status = answer.get("Content-Type", ""), answer.status_code
        if status >= 400:
            self.faults.append(f"{what} answers {status}")
        elif not kind.startswith("text/html"):
            kept = answer.get("Content-Disposition", "").startswith("attachment")
            if not (kept and kind.startswith(_FILES)) and not kind.startswith(
                ("text/plain", "text/markdown", "application/pdf")
            ):
                self.faults.append(f"{what} answers {kind}, which nobody can read")
        page = bool(status < 400 and kind.startswith("text/html") and not answer.streaming)
        if page and self.language != "en":
            left = [one for one in english(answer.content.decode()) if not _NAMES.search(one)]
            self.faults += [f"{what} says in English: {one}" for one in left]
        return page

    def _send(self, url: str, form: Form) -> None:
        """Each of its buttons once, as if nobody had pressed any before."""
        for name, value in form.buttons or [("", "")]:
            data: dict[str, Any] = {**form.fields, **({name: [value]} if name else {})}
            block: Any = transaction.atomic()
            block._from_testcase = True  # what is durable may be within
            with block:
                self._press(url, form, data)
                transaction.set_rollback(True)

    def _press(self, url: str, form: Form, data: dict[str, Any]) -> None:
        client = self._client()
        if self.token:
            client.cookies["csrftoken"] = self.token
        what = f"{form.method.upper()} {form.action} from {url} with {sorted(data)}"
        if form.method == "post":
            answer = client.post(form.action, data)
        else:
            answer = client.get(form.action, data)
        for _ in range(5):
            if answer.status_code not in (301, 302):
                break
            if urlsplit(answer["Location"]).netloc not in ("", "testserver"):
                return  # to the payment page, or another service
            answer = client.get(answer["Location"])
        self._is_page(what, answer)


def _everything(alice: Person) -> None:
    """Something on every page."""
    fund(alice, "100")
    balance_changes.subscribe(alice.user.pk, Plan.objects.get(slug="basic"), now=timezone.now())
    used(alice)
    used(alice, status=500, error="upstream_error", details=_DETAILS)
    now = timezone.now()
    for code in ("plan_limit_5h", "insufficient_balance", "own_key_refused", "nobody_knows"):
        Refusal.objects.create(
            user=alice.user, api_key=alice.key, hour=now, code=code, status=429, message="No.",
            request_id=f"req_{code}", count=2, first_at=now, last_at=now,
        )  # fmt: skip
    furnish(alice)


def test_everything_a_visitor_can_press_works(db: None) -> None:
    visit = Visit(None, ["/"], language="vi").walk()
    assert visit.faults == []
    assert visit.pages > 30


def test_everything_a_customer_with_everything_can_press_works(alice: Person) -> None:
    _everything(alice)
    visit = Visit(alice.user, ["/overview"], language="vi").walk()
    assert visit.faults == []
    assert visit.pages > 50
    pressed = {resolve(path).view_name for path, _, _ in visit.sent}
    assert pressed >= {"tokens", "token-revoke", "account-delete", "dismiss-announcement"}
    assert pressed >= {"own-keys", "own-key", "own-key-test", "own-key-remove"}


def test_everything_a_new_customer_can_press_works(bob: Person) -> None:
    visit = Visit(bob.user, ["/overview"]).walk()
    assert visit.faults == []
    assert visit.pages > 50
    assert "/account/tokens" in {path for path, _, _ in visit.sent}


def test_everything_staff_can_press_works(alice: Person) -> None:
    _everything(alice)
    staff = User.objects.create_superuser("staff@example.com", "correct horse battery")
    visit = Visit(staff, ["/admin/"], inside="admin/").walk()
    assert visit.faults == []
    assert visit.pages > 100
