"""Staff set what they want to hear of; they hear of it once, and deal with it."""

import base64
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone, translation

from accounts.keys import places
from accounts.models import ApiKey, KeyPlace, User
from billing.books.models import AuditEntry
from billing.rewards.models import Mark
from billing.stripe.models import Quarantine
from cockpit import tasks
from cockpit.watch import findings, looking, rules, sentences
from cockpit.watch.models import Finding, Kind, Rule
from cockpit.watch.sentences import PATTERNS
from gateway.catalogue.costs.models import VendorPrice
from gateway.reconciliation.vendors.models import VendorDifference
from gateway.usage.models import UsageHour
from gateway.usage.quarantine.models import UsageQuarantine
from gateway.usage.vendor_day import UsageVendorDay
from hontoni.money import CENT, DOLLAR
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person, person, used

NOW = timezone.now()
TODAY = NOW.date()


def rule(kind: str, **fields: Any) -> Rule:
    """Only this one is on."""
    rules.seed()
    Rule.objects.exclude(pk=kind).update(active=False)
    Rule.objects.filter(pk=kind).update(active=True, **fields)
    return Rule.objects.get(pk=kind)


def spent(who: Person, ago: int, cost: int) -> None:
    hour = (NOW - timedelta(days=ago)).replace(minute=0, second=0, microsecond=0)
    same = {"user": who.user, "api_key": who.key, "model": "gpt-4o", "hour": hour}
    UsageHour.objects.create(**same, requests=1, cost=cost)


def place(who: Person, ip: str, ago: int = 0) -> None:
    at = (NOW - timedelta(days=ago)).timestamp()
    places.note([places.Use(who.key.pk, who.user.pk, at, ip)])


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    places.forget()
    yield
    places.forget()


def seen() -> list[Finding]:
    findings.look(NOW)
    return list(Finding.objects.order_by("pk"))


# -- What is looked for --------------------------------------------------------------------------


def test_a_customer_who_spends_far_more(alice: Person, bob: Person, carol: Person) -> None:
    rule("spend", threshold=5, least=10)
    for ago in range(1, 8):
        spent(alice, ago, 3 * DOLLAR)
        spent(bob, ago, 3 * DOLLAR)
    spent(alice, 0, 15 * DOLLAR)
    spent(bob, 0, 14 * DOLLAR)
    spent(carol, 0, 9 * DOLLAR)  # from nothing, but less than the least
    (found,) = seen()
    assert found.users == [alice.user.pk] and "alice@example.com spent $15.00" in found.text


def test_far_more_sign_ups_than_before(alice: Person) -> None:
    rule("accounts", threshold=5, least=3)
    User.objects.filter(pk=alice.user.pk).update(created_at=NOW - timedelta(days=3))
    new = [person(f"new{n}").user.pk for n in range(2)]
    assert seen() == []
    new.append(person("new2").user.pk)
    Finding.objects.all().delete()
    found = findings.look(timezone.now()) and Finding.objects.get()
    assert found and sorted(found.users) == new and "3 new accounts" in found.text


def test_many_accounts_on_one_address(alice: Person, bob: Person, carol: Person) -> None:
    """Where keys are used and where they were made count alike; a week ago does not."""
    rule("address", threshold=3)
    place(alice, "203.0.113.7")
    place(bob, "203.0.113.7", ago=8)
    ApiKey.objects.filter(pk=carol.key.pk).update(made_from="203.0.113.7")
    assert seen() == []
    place(bob, "203.0.113.7")
    (found,) = seen()
    assert found.users == sorted(each.user.pk for each in (alice, bob, carol))


def test_a_network_of_ipv6_is_one_address(alice: Person, bob: Person) -> None:
    rule("address", threshold=2)
    place(alice, "2001:db8:1:2::3")
    place(bob, "2001:db8:1:2:ffff::9")
    (found,) = seen()
    assert found.subject == "address:2001:db8:1:2::/64"


@pytest.mark.parametrize("kind", ["browser", "card", "mailbox"])
def test_many_accounts_of_one_person(alice: Person, bob: Person, carol: Person, kind: str) -> None:
    rule("person", threshold=3)
    for each in (alice, bob, carol):
        Mark.objects.create(user=each.user, kind=kind, digest="d" * 64)
        Mark.objects.create(user=each.user, kind=kind, digest=f"{each.user.pk}")
    (found,) = seen()
    assert len(found.users) == 3 and kind in found.text


def test_a_key_used_from_many_places(gateway: Gateway, alice: Person) -> None:
    """The first place is where settlement saw it."""
    fund(alice, "1")
    gateway.chat(alice, "[[say: hi]]")
    gateway.books()
    assert KeyPlace.objects.get().network == "127.0.0.1"
    rule("key_places", threshold=3)
    place(alice, "203.0.113.1")
    place(alice, "203.0.113.2", ago=3)
    assert seen() == []
    place(alice, "203.0.113.2")
    (found,) = seen()
    assert found.users == [alice.user.pk] and "3 networks" in found.text


def test_charges_that_were_cut(alice: Person) -> None:
    rule("capped", threshold=2)
    for n in range(2):
        assert seen() == [], n
        UsageQuarantine.objects.create(event=used(alice), kind="capped", told={"output": 9})
    (found,) = seen()
    assert found.users == [alice.user.pk] and "claude-sonnet-4" in found.text


def test_what_waits_in_quarantine_until_it_does_not(alice: Person) -> None:
    rule("quarantine", threshold=1)
    Quarantine.note("pi_odd", "unknown_order", {})
    UsageQuarantine.objects.create(event=used(alice), kind="absurd", told={"output": 9})
    assert {each.subject for each in seen()} == {"payments", "bills"}
    Quarantine.objects.update(resolved_at=NOW)
    states = {each.subject: each.state for each in seen()}
    assert states == {"payments": "closed", "bills": "open"}
    Quarantine.note("pi_two", "unknown_order", {})
    assert {each.state for each in seen()} == {"open"}


def test_a_model_that_earns_too_little(alice: Person) -> None:
    used(alice)  # seeds the catalogue
    rule("margin", threshold=10, least=1)
    yesterday = TODAY - timedelta(days=1)
    VendorPrice.objects.filter(model_id="claude-sonnet-4").delete()
    VendorPrice.objects.create(
        model_id="claude-sonnet-4", since=yesterday, input=3 * DOLLAR, output=15 * DOLLAR,
        cache_read=0, cache_write_5m=0, cache_write_1h=0,
    )  # fmt: skip
    day = {"day": yesterday, "vendor": "anthropic", "credential": "a/b", "part": "charged"}
    row = UsageVendorDay.objects.create(
        **day, model="claude-sonnet-4", requests=9, output=1_000_000, cost=17 * DOLLAR
    )
    assert seen() == [], "two of seventeen dollars are more than 10 %"
    UsageVendorDay.objects.filter(pk=row.pk).update(cost=16 * DOLLAR)
    (found,) = seen()
    assert "charged $16.00, cost $15.00" in found.text


def test_a_vendors_bill_that_nothing_explains(db: None) -> None:
    rule("vendor_bill", threshold=Decimal("2.50"))
    rest = {"vendor": "openai", "model": "gpt-4o", "day": TODAY, "billed": 9 * DOLLAR}
    row = VendorDifference.objects.create(**rest, rest=-249 * CENT)
    assert seen() == []
    VendorDifference.objects.filter(pk=row.pk).update(rest=-250 * CENT)
    assert "2.50" in seen()[0].text
    VendorDifference.objects.filter(pk=row.pk).update(gone_at=NOW)
    assert seen()[0].state == "closed"


def test_every_kind_is_looked_for_and_says_what_its_numbers_mean(db: None) -> None:
    assert set(rules.MEANINGS) == set(looking.LOOKS) == set(Kind)


# -- Who hears of it -----------------------------------------------------------------------------


@pytest.fixture
def noisy(db: None) -> Rule:
    Quarantine.note("pi_odd", "unknown_order", {})
    return rule("quarantine", threshold=1)


def test_staff_hear_of_it_once(noisy: Rule, settings: Any) -> None:
    staff("finance"), staff("catalogue")
    for _ in range(3):
        tasks.watch()
    (sent,) = mail.outbox
    assert sent.to == ["finance@example.com"] and "1 payments in quarantine" in sent.subject
    assert f"/admin/cockpit/finding/{Finding.objects.get().pk}/change/" in sent.body
    Quarantine.note("pi_two", "unknown_order", {})
    tasks.watch()
    assert len(mail.outbox) == 2, "twice as much is news"


@pytest.mark.parametrize("off", [{"active": False}, {"mail": False}, {"threshold": 2}])
def test_who_does_not_want_to_hear_does_not(noisy: Rule, off: dict[str, Any]) -> None:
    staff("finance")
    Rule.objects.filter(pk=noisy.pk).update(**off)
    tasks.watch()
    assert mail.outbox == [] and Finding.objects.count() == ("mail" in off)


def test_what_could_not_be_told_is_told_later(noisy: Rule, settings: Any) -> None:
    staff("finance")
    settings.EMAIL_BACKEND = "tests.cockpit.test_watch.Broken"
    tasks.watch()
    found = Finding.objects.get()
    assert found.mail_due and "no server" in found.problem
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    tasks.tell()
    assert mail.outbox == [], "not before its time"
    Finding.objects.update(retry_at=NOW - timedelta(minutes=1))
    tasks.tell()
    tasks.tell()
    assert len(mail.outbox) == 1


class Broken:
    def __init__(self, **_: Any) -> None: ...

    def send_messages(self, *_: Any) -> None:
        raise OSError("no server")


class Receiver(HTTPServer):
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[tuple[dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_and_sent_once(noisy: Rule, receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    Rule.objects.filter(pk=noisy.pk).update(webhook=url)
    receiver.status = 500
    tasks.watch()
    Finding.objects.update(retry_at=NOW - timedelta(minutes=1))
    receiver.status = 204
    for _ in range(2):
        tasks.tell()
    (first, _body), (headers, body) = receiver.taken
    assert first["webhook-id"] == headers["webhook-id"]
    key = base64.b64decode(rules.secret(noisy).removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    made = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{made}"
    assert json.loads(body)["data"]["text"] == "1 payments in quarantine"
    before = rules.secret(noisy)
    rules.renew_secret(noisy)
    assert rules.secret(noisy) != before


def test_a_webhook_can_be_tried(noisy: Rule, receiver: Receiver) -> None:
    finance = staff("finance")
    page = f"/admin/cockpit/rule/{noisy.pk}/"
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    fields = {"active": "on", "threshold": "2", "webhook": url}
    assert finance.post(f"{page}change/", fields).status_code == 302
    entry = AuditEntry.objects.get(subject="rule:quarantine")
    assert entry.before["threshold"] == "1.00" and entry.after["threshold"] == "2.00"
    assert "Taken." in finance.post(f"{page}test/", follow=True).content.decode()
    assert json.loads(receiver.taken[0][1])["type"] == "watch.test"
    secret = rules.secret(noisy)
    for deed in ("test", "secret", "look"):  # a link changes nothing
        assert finance.get(f"{page}{deed}/").status_code == 200
    assert len(receiver.taken) == 1 and Finding.objects.count() == 0
    assert rules.secret(Rule.objects.get(pk=noisy.pk)) == secret
    finance.post(f"{page}secret/")
    assert rules.secret(Rule.objects.get(pk=noisy.pk)) != secret
    assert rules.secret(Rule.objects.get(pk="quarantine")) in _text(finance, f"{page}change/")
    assert "whsec_" not in _text(staff("support"), f"{page}change/")


# -- What staff do about it ----------------------------------------------------------------------


def _text(client: Client, path: str) -> str:
    answer = client.get(path, follow=True)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_open_acknowledged_closed(noisy: Rule) -> None:
    support = staff("support")
    tasks.watch()
    page = f"/admin/cockpit/finding/{Finding.objects.get().pk}/"
    assert "1 payments in quarantine" in _text(
        support, "/admin/cockpit/finding/?state__exact=open"
    )
    for deed, state in (("acknowledge", "acknowledged"), ("close", "closed"), ("reopen", "open")):
        assert f"{page}{deed}/" in _text(support, f"{page}change/")
        assert support.post(f"{page}{deed}/", {"note": "Looked."}).status_code == 302
        found = Finding.objects.get()
        assert (found.state, found.note, found.by) == (state, "Looked.", "support@example.com")
        assert AuditEntry.objects.filter(action=state, after__note="Looked.").count() == 1
    Finding.objects.update(state="closed", by="support@example.com")
    mail.outbox.clear()
    tasks.watch()
    assert Finding.objects.get().state == "closed" and mail.outbox == [], "and it stays closed"


def test_a_ring_is_frozen_in_one_go_and_let_go_again(
    alice: Person, bob: Person, carol: Person
) -> None:
    rule("address", threshold=2)
    place(alice, "203.0.113.7")
    place(bob, "203.0.113.7")
    for each in (bob, carol):
        Mark.objects.create(user=each.user, kind="browser", digest="d" * 64)
    (found,) = seen()
    support, page = staff("support"), f"/admin/cockpit/finding/{found.pk}/"
    asked = _text(support, f"{page}freeze/")
    assert "carol@example.com · same browser" in asked, "who is linked is proposed"
    chosen = [alice.user.pk, carol.user.pk]
    answer = support.post(f"{page}freeze/", {"accounts": chosen, "reason": "One person."})
    assert answer.status_code == 302
    frozen = User.objects.filter(frozen_reason="One person.").values_list("pk", flat=True)
    assert sorted(frozen) == chosen
    assert AuditEntry.objects.get(action="freeze ring").after["accounts"] == chosen
    for pk in chosen:
        assert AuditEntry.objects.filter(action="freeze", subject=f"user:{pk}").exists()
    User.objects.filter(pk=carol.user.pk).update(frozen_reason="Another.")
    assert support.post(f"{page}unfreeze/", {"reason": "A family."}).status_code == 302
    left = User.objects.filter(frozen_at__isnull=False).values_list("pk", flat=True)
    assert list(left) == [carol.user.pk], "what froze it for another reason holds"


def test_nobody_freezes_staff_or_what_was_not_proposed(
    alice: Person, bob: Person, carol: Person
) -> None:
    rule("address", threshold=2)
    place(alice, "203.0.113.7")
    place(bob, "203.0.113.7")
    (found,) = seen()
    support, path = staff("support"), f"/admin/cockpit/finding/{found.pk}/freeze/"
    boss = User.objects.get(email="support@example.com").pk
    for chosen in ([carol.user.pk], [boss], []):
        support.post(path, {"accounts": chosen, "reason": "x"})
    assert not User.objects.filter(frozen_at__isnull=False).exists()
    assert staff("catalogue").post(path, {"accounts": [alice.user.pk]}).status_code == 403


def test_addresses_are_forgotten(alice: Person) -> None:
    place(alice, "203.0.113.7", ago=31)
    place(alice, "203.0.113.8")
    assert places.forget_old(TODAY) == 1
    assert KeyPlace.objects.get().network == "203.0.113.8"


def test_rules_speak_vietnamese(db: None) -> None:
    rules.seed()
    owner = Client()
    owner.force_login(User.objects.create_superuser("owner@example.com", "x"))
    owner.cookies["django_language"] = "vi"
    page = owner.get("/admin/cockpit/rule/").content.decode()
    assert "Một khách hàng chi nhiều hơn hẳn trước" in page and "than before" not in page
    page = owner.get("/admin/cockpit/rule/spend/change/").content.decode()
    assert "Đô la trong ngày, tối thiểu." in page and "Kiểm tra ngay" in page


def test_what_is_found_is_read_in_ones_own_language(noisy: Rule) -> None:
    reader = staff("finance")
    staff("auditor")
    User.objects.filter(email="finance@example.com").update(language="vi")
    tasks.watch()
    subjects = {sent.to[0]: sent.subject for sent in mail.outbox}
    assert subjects["finance@example.com"] == "1 thanh toán trong khu cách ly"
    assert subjects.get("auditor@example.com", "1 payments in quarantine").startswith("1 payments")
    reader.cookies["django_language"] = "vi"
    found = Finding.objects.get()
    assert found.text == "1 payments in quarantine"
    for path in ("/admin/cockpit/finding/", f"/admin/cockpit/finding/{found.pk}/change/"):
        assert "1 thanh toán trong khu cách ly" in reader.get(path).content.decode()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_sentence_is_read_back(kind: Kind) -> None:
    facts = {name: f"{name}: $1.5;(x)+" for name in re.findall(r"%\((\w+)", PATTERNS[kind])}
    text = sentences.sentence(kind, **facts)
    assert sentences.translated(kind, text) == text
    with translation.override("vi"):
        theirs = sentences.translated(kind, text)
    assert theirs != text and all(fact in theirs for fact in facts.values())
    assert sentences.translated(kind, "of an older release") == "of an older release"
