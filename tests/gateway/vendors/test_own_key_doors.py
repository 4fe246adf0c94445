"""A customer's own keys at vendors: their page, /api, and what a receipt says of them."""

from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client as Browser
from django.utils import timezone

from accounts.sign_in import deletion
from billing.books.models import AuditEntry
from billing.mails import letters
from billing.mails.models import Notice
from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.prices import changes
from gateway.pricing import announcements
from gateway.vendors import vault
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import keeping
from gateway.vendors.own_keys.models import OwnKey, OwnKeyFee
from gateway.vendors.own_keys.seed import seed
from hontoni.errors import Conflict
from hontoni.money import dollars, nanos
from tests.gateway.vendors.own_keys import SECRET, charge
from tests.gateway.vendors.test_own_keys import last
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.web.furnished import NOWHERE
from tests.world import Person


def test_a_key_is_entered_tested_switched_and_removed_by_api(
    gateway: Gateway, alice: Person, bob: Person, offered: Vendors
) -> None:
    client = alice.client()
    given = client.get("/api/own-keys").json()
    assert given["data"] == []
    assert given["offered"] == [
        {
            "provider": "openai",
            "vendor": "openai",
            "parts": ["secret"],
            "fee_per_million_tokens": "0.10",
            "fee_per_request": "0.00",
        }
    ]
    body = {"provider": "openai", "secret": SECRET}
    made = client.post("/api/own-keys", body, format="json")
    assert made.status_code == 201
    row = made.json()
    assert (row["prefix"], row["active"], row["falls_back"]) == ("sk-alice", True, False)
    assert SECRET not in made.content.decode()
    assert client.post("/api/own-keys", body, format="json").json()["error"]["code"] == (
        "own_key_exists"
    )
    at = f"/api/own-keys/{row['id']}"
    assert client.post(f"{at}/test").json() == {"works": True, "problem": ""}
    changed = client.patch(at, {"secret": "sk-nobodys-key-0123456789"}, format="json")
    assert changed.json()["prefix"] == "sk-nobod"
    told = client.post(f"{at}/test").json()
    assert (told["works"], told["problem"][:3]) == (False, "401")
    assert OwnKey.objects.get().refused_at is not None
    theirs = bob.client()
    for answer in (
        theirs.get(at),
        theirs.patch(at, {"active": False}, format="json"),
        theirs.delete(at),
    ):
        assert answer.status_code == 404
    assert client.delete(at).status_code == 204
    assert client.get("/api/own-keys").json()["data"] == []
    audited = AuditEntry.objects.filter(subject=f"own_key:{row['id']}").order_by("pk")
    assert [each.action for each in audited] == [
        *("add own key", "test own key", "change own key", "test own key", "remove own key"),
    ]
    assert all("0123456789" not in f"{each.before}{each.after}" for each in audited)


@pytest.mark.parametrize(
    "body",
    [
        {"provider": "openai", "secret": "short"},
        {"provider": "openai", "secret": "sk with spaces in the middle of it"},
        {"provider": "elsewhere", "secret": "sk-0123456789012345"},
        {"provider": "openai", "secret": "sk-0123456789012345", "base_url": "http://10.0.0.1"},
    ],
)
def test_what_is_no_key_or_for_nobody_is_refused(
    alice: Person, offered: Vendors, body: dict[str, str]
) -> None:
    answer = alice.client().post("/api/own-keys", body, format="json")
    assert answer.status_code in (400, 404)
    assert not OwnKey.objects.exists()


def test_a_key_is_entered_tested_switched_and_removed_on_its_page(
    gateway: Gateway, alice: Person, offered: Vendors, client: Browser
) -> None:
    client.force_login(alice.user)
    form = {"provider": "openai", "secret": SECRET, "falls_back": "on"}
    page = client.post("/own-keys", form, follow=True).content.decode()
    row = OwnKey.objects.get()
    assert "The vendor accepts it." in page and "sk-alice…" in page and SECRET not in page
    assert row.falls_back
    wrong = {"secret": "sk-nobodys-key-0123456789", "active": "on"}
    page = client.post(f"/own-keys/{row.pk}", wrong, follow=True).content.decode()
    assert "401 Incorrect API key provided." in page
    client.post(f"/own-keys/{row.pk}", {})
    row.refresh_from_db()
    assert (row.active, row.falls_back) == (False, False)
    assert client.post(f"/own-keys/{row.pk}/test", follow=True).status_code == 200
    assert "is removed" in client.post(f"/own-keys/{row.pk}/remove", follow=True).content.decode()
    assert not OwnKey.objects.exists()


def test_what_is_wrong_with_a_key_is_said_in_its_owners_language(
    gateway: Gateway, alice: Person, hers: OwnKey, client: Browser
) -> None:
    client.force_login(alice.user)
    client.cookies["django_language"] = "vi"
    at, vietnamese = (
        f"/own-keys/{hers.pk}",
        "Khoá không có khoảng trắng và không có chữ ngoài ASCII.",
    )
    spaced = {"secret": "a key of four words", "active": "on"}
    assert vietnamese in client.post(at, spaced, follow=True).content.decode()
    assert OwnKey.objects.get().prefix == "sk-alice"
    OwnKey.objects.update(entered_for="https://elsewhere.example", refusal="It has moved.")
    for page in (client.get("/own-keys"), client.post(f"{at}/test", follow=True)):
        words = page.content.decode()
        assert "Nhà cung cấp đã đổi địa chỉ" in words
        assert "It has moved" not in words and "enter it again" not in words


@pytest.mark.parametrize(
    ("changes", "vietnamese"),
    [
        ({"sealed": "sealed under a key that is gone"}, "Không còn đọc được khoá này"),
        ({}, "openai không trả lời (ConnectError)."),
    ],
)
def test_what_no_vendor_said_is_said_by_us(
    alice: Person, hers: OwnKey, client: Browser, changes: dict[str, str], vietnamese: str
) -> None:
    Provider.objects.filter(pk=hers.provider_id).update(base_url=NOWHERE)
    OwnKey.objects.update(entered_for=Provider.objects.get(pk=hers.provider_id).home, **changes)
    client.force_login(alice.user)
    client.cookies["django_language"] = "vi"
    tested = client.post(f"/own-keys/{hers.pk}/test", follow=True).content.decode()
    assert tested.count(vietnamese) == 2  # what came of it, and beside the key from now on
    assert "Nhà cung cấp nói" not in tested and "không chấp nhận" not in tested
    told = alice.client().post(f"/api/own-keys/{hers.pk}/test", format="json").json()["problem"]
    assert told.isascii() and told


def test_keys_are_not_tried_out_by_the_thousand(alice: Person, offered: Vendors) -> None:
    client, body = alice.client(), {"provider": "elsewhere", "secret": SECRET}
    found = {client.post("/api/own-keys", body, format="json").status_code for _ in range(25)}
    assert found == {404, 429}


def test_it_ends_with_its_account(alice: Person, hers: OwnKey) -> None:
    deletion.delete(alice.user)
    assert not OwnKey.objects.exists()


def test_receipts_say_whose_key_it_was_and_what_the_vendor_lists(
    gateway: Gateway, alice: Person, hers: OwnKey, client: Browser
) -> None:
    fund(alice, "1")
    charge("0.10", "0.002")
    VendorPrice.objects.create(
        model_id="gpt-4o", since=date(2026, 1, 1), input=nanos("2.50"), cache_read=nanos("1.25"),
        cache_write_5m=0, cache_write_1h=0, output=nanos("10"), source="its list",
    )  # fmt: skip
    gateway.chat(alice)
    event = last(gateway)
    listed = event.input * nanos("2.5") + event.output * nanos("10")
    receipt = alice.client().get(f"/api/usage/{event.request_id}").json()
    assert receipt["own_key"]["fee"]["per_request"] == "0.002"
    assert nanos(receipt["own_key"]["vendor_cost"]) == (listed + 500_000) // 10**6
    assert receipt["price_version"]["own"] is None
    assert receipt["total"] == receipt["charged"] == dollars(event.cost)
    client.force_login(alice.user)
    page = client.get(f"/usage/{event.request_id}").content.decode()
    assert "Answered through your own key at openai" in page
    assert "Fee for the request" in page
    assert SECRET not in page


# -- Staff ---------------------------------------------------------------------------------------

ADD = "/admin/gateway/ownkeyfee/add/"


def typed(per_million: str, per_request: str = "0", **fields: str) -> dict[str, str]:
    return {"vendor": "", "per_million": per_million, "per_request": per_request, **fields}


@pytest.mark.any_database
def test_a_fee_that_rises_is_told_before_it_binds(
    admin_client: Browser, alice: Person, bob: Person
) -> None:
    seed()
    charge("0.10", vendor="anthropic")
    keeping.add(alice.user, "openai", SECRET)
    keeping.add(bob.user, "anthropic", SECRET)
    soon = {"effective_at_0": f"{timezone.now() + timedelta(days=1):%Y-%m-%d}"}
    soon["effective_at_1"] = "00:00:00"
    hurried = admin_client.post(ADD, typed("0.12", **soon)).content.decode()
    assert "A rise is told" in hurried
    admin_client.post(ADD, typed("0.12"))
    coming = OwnKeyFee.objects.get(per_million=nanos("0.12"))
    assert coming.effective_at > timezone.now() + changes.notice() - timedelta(minutes=1)
    told = Notice.objects.filter(kind="own_key_fee_rises")
    assert [notice.user_id for notice in told] == [alice.user.pk]  # bob's vendor has its own
    assert told.get().facts["new_tokens"] == "0.12"
    assert announcements.own_key_fees_rise(timezone.now()) == 0
    mail = letters.compose(
        "own_key_fee_rises", told.get().facts, to="a@example.com", name="A", language="vi",
        message_id="<1>",
    )  # fmt: skip
    assert "$0,12" in str(mail.body) and "khoá riêng" in str(mail.body)
    admin_client.post(f"/admin/gateway/ownkeyfee/{coming.pk}/delete/", {"post": "yes"})
    (taken,) = Notice.objects.filter(facts__withdrawn=True)
    assert (taken.user, taken.kind) == (alice.user, "own_key_fee_rises")
    for language, words in (("en", "is withdrawn"), ("vi", "được rút lại")):
        mail = letters.compose(
            taken.kind, taken.facts, to="a@example.com", name="A", language=language,
            message_id="<1>",
        )  # fmt: skip
        assert words in str(mail.body) and "$" not in str(mail.body)


@pytest.mark.any_database
def test_whose_vendor_has_a_fee_of_its_own_only_later_is_told_of_the_rise_until_then(
    alice: Person, db: None
) -> None:
    seed()
    keeping.add(alice.user, "openai", SECRET)
    now = timezone.now()
    own = charge("0.01", vendor="openai")
    OwnKeyFee.objects.filter(pk=own.pk).update(effective_at=now + timedelta(days=60))
    rise = charge("0.12")
    OwnKeyFee.objects.filter(pk=rise.pk).update(effective_at=now + timedelta(days=20))
    assert announcements.own_key_fees_rise(now) == 1


@pytest.mark.any_database
def test_no_fee_becomes_a_rise_that_nobody_was_told_of(admin_client: Browser) -> None:
    """Neither by one that is put before it, nor by the withdrawal of one before it."""
    seed()
    now = timezone.now()

    def coming(days: int, per_million: str) -> OwnKeyFee:
        row = charge(per_million)
        OwnKeyFee.objects.filter(pk=row.pk).update(effective_at=now + timedelta(days=days))
        return row

    present = OwnKeyFee.objects.get()
    same = coming(5, dollars(present.per_million))
    cheaper = admin_client.post(ADD, typed("0.06")).content.decode()
    assert "would be a rise after it" in cheaper
    same.delete()
    told, after = coming(3, "0.12"), coming(6, "0.12")
    at = f"/admin/gateway/ownkeyfee/{told.pk}/delete/"
    assert admin_client.post(at, {"post": "yes"}).status_code == 403
    assert set(OwnKeyFee.objects.all()) == {present, told, after}


@pytest.mark.any_database
def test_a_fee_far_from_the_last_is_confirmed_and_no_fee_is_changed(admin_client: Browser) -> None:
    seed()
    assert "More than half" in admin_client.post(ADD, typed("100")).content.decode()
    assert OwnKeyFee.objects.count() == 1
    admin_client.post(ADD, typed("0.06"))
    cheaper = OwnKeyFee.objects.get(per_million=nanos("0.06"))
    assert cheaper.effective_at < timezone.now() + timedelta(minutes=1)
    at = f"/admin/gateway/ownkeyfee/{cheaper.pk}/"
    assert admin_client.post(f"{at}change/", typed("0.01")).status_code == 403
    seed()
    assert OwnKeyFee.objects.count() == 2  # staff have had their say


@pytest.mark.any_database
def test_staff_see_who_has_a_key_and_never_the_key(admin_client: Browser, alice: Person) -> None:
    seed()
    row = keeping.add(alice.user, "openai", SECRET)
    for page in ("", f"{row.pk}/change/"):
        text = admin_client.get(f"/admin/gateway/ownkey/{page}").content.decode()
        assert "sk-alice" in text
        assert SECRET not in text and row.sealed not in text
    assert "0.10" in admin_client.get("/admin/gateway/ownkeyfee/").content.decode()
    call_command("reseal", stdout=StringIO())
    row.refresh_from_db()
    assert vault.unseal(row.sealed) == SECRET


@pytest.mark.any_database
def test_a_provider_that_moves_takes_no_customers_key_with_it(
    admin_client: Browser, alice: Person
) -> None:
    seed()
    row = keeping.add(alice.user, "openai", SECRET)
    fields = {
        "name": "openai", "vendor": "openai", "base_url": "https://elsewhere.example",
        "everything": "on", "own_keys": "on", "active": "on",
        "offerings-TOTAL_FORMS": "0", "offerings-INITIAL_FORMS": "0",
    }  # fmt: skip
    at = f"/admin/gateway/provider/{row.provider_id}/change/"
    assert "1 keys of customers" in admin_client.post(at, fields, follow=True).content.decode()
    row.refresh_from_db()
    assert not row.active
    with pytest.raises(Conflict):
        keeping.change(row, active=True)
    assert keeping.change(row, secret=SECRET).is_at_home
