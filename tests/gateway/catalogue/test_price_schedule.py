"""Prices as staff announce them, and as everybody sees what is to come."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.books.models import AuditEntry
from billing.mails import letters
from billing.mails.models import Notice
from gateway.catalogue.costs.models import VendorPrice
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import schedule
from gateway.catalogue.seed import seed
from gateway.usage.models import UsageEvent, UsageHour
from hontoni.money import dollars, nanos
from hontoni.pages import ZONE_COOKIE
from tests.gateway.usage.test_quarantine import staff
from tests.world import Person, used

ADD = "/admin/gateway/price/add/"


@pytest.fixture(autouse=True)
def world(db: None) -> None:
    seed()


def body(**changes: Any) -> dict[str, Any]:
    empty = {f"long_{bucket}": "" for bucket in BUCKETS} | {"long_context_above": ""}
    moment = {"effective_at_0": "", "effective_at_1": ""}
    rates = dict.fromkeys(BUCKETS, "3.25")
    return {"model": "gpt-4o", **rates, **empty, **moment, **changes}


def at(later: timedelta) -> dict[str, str]:
    moment = timezone.now() + later
    return {"effective_at_0": f"{moment:%Y-%m-%d}", "effective_at_1": f"{moment:%H:%M:%S}"}


def add(client: Client, **changes: Any) -> Any:
    """Announce a price with a reason, and confirm what is asked twice; the answer."""
    typed = body(**{"reason": "for the test", **changes})
    answer = client.post(ADD, typed)
    if answer.status_code == 200 and (seal := asked(answer)):
        answer = client.post(ADD, typed | {"confirmed": seal})
    return answer


def asked(answer: Any) -> str:
    """What a form wants confirmed."""
    widget = answer.context["adminform"].form.fields["confirmed"].widget
    return str(widget.attrs.get("value", ""))


def newest() -> Price:
    return Price.objects.filter(model_id="gpt-4o").latest("effective_at")


def test_a_price_is_typed_in_dollars_and_known_before_it_binds() -> None:
    client = staff("catalogue")
    page = client.get(ADD).content.decode()
    assert "Dollars per million tokens." in page and "Read from the cache" in page
    before, now = newest(), timezone.now()
    assert add(client, output="13").status_code == 302
    made = newest()
    assert (made.input, made.output, made.long_input) == (nanos("3.25"), nanos("13"), None)
    assert now + schedule.LEAD <= made.effective_at <= timezone.now() + schedule.LEAD
    entry = AuditEntry.objects.get(action="add price")
    assert (entry.before["output"], entry.after["output"]) == ("10.00", "13.00")
    assert (entry.before["version"], entry.after["version"]) == (before.pk, made.pk)
    assert entry.after["changed"]["output"] == "+30 %"
    assert AuditEntry.objects.count() == 1


def test_a_rise_binds_when_its_customers_have_had_their_notice(alice: Person, bob: Person) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for who, model, days in ((alice, "gpt-4o", 29), (bob, "gpt-4o", 31), (bob, "gpt-4.1", 1)):
        then = hour - timedelta(days=days)
        UsageHour.objects.create(user=who.user, api_key=who.key, hour=then, model=model)
    client, now = staff("catalogue"), timezone.now()
    rates = {b: dollars(getattr(newest(), b)) for b in BUCKETS}
    answer = add(client, **rates | {"output": "12"}, reason="")
    assert answer.status_code == 302
    assert timedelta(days=14) <= newest().effective_at - now < timedelta(days=14, minutes=1)
    (notice,) = Notice.objects.all()
    assert (notice.user, notice.kind) == (alice.user, "model_price_rises")
    assert notice.facts["rows"][0] == {"bucket": "output", "old": "10.00", "new": "12.00"}
    mail = letters.compose(
        notice.kind, notice.facts, to="a@x", name="", language="vi", message_id="<1@x>"
    )
    assert "$12,00" in mail.body and "+20 %" in mail.body and "nano" not in mail.body
    sooner = at(timedelta(days=3))
    refused = add(client, **rates | {"output": "12.50"}, **sooner, reason="")
    assert refused.status_code == 200 and "told 14 days before" in refused.content.decode()
    assert add(client, **rates | {"output": "12.50"}, **sooner).status_code == 302
    url = f"/admin/gateway/price/{newest().pk}/delete/"
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert Notice.objects.filter(user=alice.user, facts__withdrawn=True).count() == 1
    assert not Notice.objects.filter(user=bob.user).exists()


def test_below_cost_needs_a_reason_and_every_margin_is_shown() -> None:
    client = staff("catalogue")
    costs = dict.fromkeys(BUCKETS, nanos("2")) | {"output": nanos("10.50")}
    VendorPrice.objects.create(model_id="gpt-4o", since="2026-01-01", **costs)
    shown = client.get("/admin/gateway/price/?model__id__exact=gpt-4o").content.decode()
    assert "+$0.50 (+25 %)" in shown and "−$0.50 (−4.8 %)" in shown
    form = client.get(f"{ADD}?model=gpt-4o").content.decode()
    assert "Now $10.00. Costs us $10.50." in form
    lower = {b: dollars(getattr(newest(), b)) for b in BUCKETS} | {"output": "9"}
    refused = add(client, **lower, reason="")
    assert refused.status_code == 200 and "−$1.50 (−14.3 %)" in refused.content.decode()
    assert add(client, **lower, reason="to win them over").status_code == 302
    assert AuditEntry.objects.get().after["reason"] == "to win them over"
    page = client.get(f"/admin/gateway/price/{newest().pk}/change/").content.decode()
    for said in ("$10.00", "$9.00", "−10 %", "$10.50", "−$1.50 (−14.3 %)"):
        assert said in page


@pytest.mark.parametrize("typed", ["3000000000", "-1"])
def test_nano_dollars_typed_for_dollars_are_refused(typed: str) -> None:
    client, before = staff("catalogue"), newest()
    assert "from 0 to 10000.00" in add(client, output=typed).content.decode()
    assert newest() == before


def test_a_change_of_more_than_half_is_looked_at_twice() -> None:
    client, before = staff("catalogue"), newest()
    page = client.post(ADD, body(input="0.000000003"))
    assert "$2.50 → $0.000000003 (−100 %)" in page.content.decode() and newest() == before
    assert add(client, input="0.000000003").status_code == 302


def test_a_price_may_be_a_part_of_a_cent() -> None:
    client = staff("catalogue")
    assert add(client, cache_read="0.0375", input="0.075").status_code == 302
    made = newest()
    assert (made.input, made.cache_read) == (nanos("0.075"), nanos("0.0375"))
    refused = add(client, input="0.0000000001")
    assert refused.status_code == 200 and "such as 0.0375" in refused.content.decode()


@pytest.mark.any_database
def test_a_slip_in_what_the_vendor_charges_is_looked_at_twice() -> None:
    VendorPrice.objects.create(
        model_id="gpt-4o", since=date(2026, 1, 1), **dict.fromkeys(BUCKETS, nanos("2"))
    )
    client, url = staff("catalogue"), "/admin/gateway/vendorprice/add/"
    typed = body(since="2026-11-01", batch_factor="", source="its list", reasoning="")
    typed |= dict.fromkeys(BUCKETS[:5], "20")
    page = client.post(url, typed).content.decode()
    assert "More than half" in page and "$2.00 → $20.00" in page
    assert (
        client.post(url, typed | dict.fromkeys(BUCKETS[:5], "2.5") | {"source": ""}).status_code
        == 200
    )
    assert client.post(url, typed | dict.fromkeys(BUCKETS[:5], "2.5")).status_code == 302
    assert VendorPrice.objects.filter(model_id="gpt-4o").count() == 2


def test_the_list_of_models_asks_as_much_of_few_as_of_many() -> None:
    with CaptureQueriesContext(connection) as asked:
        told = Client().get("/api/models").json()["data"]
    assert len(told) > 10 and len(asked) <= 5


def test_staff_type_and_read_utc_wherever_they_are() -> None:
    client = staff("catalogue")
    client.cookies[ZONE_COOKIE] = "Asia/Ho_Chi_Minh"
    add(client, effective_at_0="2031-05-01", effective_at_1="09:30:00")
    made = newest()
    assert made.effective_at == datetime(2031, 5, 1, 9, 30, tzinfo=UTC)
    page = client.get(f"/admin/gateway/price/{made.pk}/change/").content.decode()
    assert "1 May 2031, 09:30" in page


def test_the_lead_is_longer_than_a_nodes_snapshot_lives() -> None:
    from django.conf import settings

    from gateway.catalogue import snapshot

    assert (
        schedule.LEAD.total_seconds()
        > snapshot.MAX_AGE_SECONDS + settings.DATABASE_PATIENCE_SECONDS
    )


def test_a_price_cannot_begin_in_the_past() -> None:
    client, before = staff("catalogue"), newest()
    answer = add(client, **at(timedelta(hours=-1)))
    assert answer.status_code == 200 and "cannot begin in the past" in answer.content.decode()
    assert newest() == before


def test_nobody_changes_a_price_and_only_a_coming_one_is_withdrawn() -> None:
    client, old = staff("catalogue"), newest()
    add(client, **at(timedelta(days=2)))
    coming = newest()
    assert coming.effective_at > timezone.now() + timedelta(days=1)
    for price in (old, coming):
        page = client.get(f"/admin/gateway/price/{price.pk}/change/")
        assert page.status_code == 200 and "Save" not in page.content.decode()
        assert client.post(f"/admin/gateway/price/{price.pk}/change/", body()).status_code == 403
    states = client.get("/admin/gateway/price/?model__id__exact=gpt-4o").content.decode()
    assert "coming" in states and "in force" in states
    gone = {"post": "yes"}
    assert client.post(f"/admin/gateway/price/{old.pk}/delete/", gone).status_code == 403
    assert client.post(f"/admin/gateway/price/{coming.pk}/delete/", gone).status_code == 302
    assert newest() == old
    entry = AuditEntry.objects.get(action="withdraw price")
    assert entry.before["input"] == "3.25" and entry.after == {}


def test_nothing_makes_a_rise_of_a_price_that_was_announced_as_none() -> None:
    """Neither a price that is put before it, nor the withdrawal of one before it."""
    client, day, first = staff("catalogue"), timedelta(days=1), newest()
    present = {bucket: dollars(getattr(first, bucket)) for bucket in BUCKETS}

    def announced(output: str, days: int, reason: str = "") -> str:
        typed = {**present, "output": output, "reason": reason, **at(days * day)}
        answer = add(client, **typed)
        return "" if answer.status_code == 302 else answer.content.decode()

    assert not announced("9", 3)
    assert "would be a rise after it" in announced("8", 1)
    assert not announced("9.5", 1), "then it falls twice"
    assert not announced("8", 2, reason="A sale."), "and whom it rises for is told"
    sale = Price.objects.get(model_id="gpt-4o", output=nanos("8"))
    schedule.withdraw(sale, actor="tests")
    assert "A rise is told 14 days before" in announced("9.2", 4)


@pytest.mark.any_database
def test_a_rise_is_not_withdrawn_from_under_the_next_one() -> None:
    """Who was told that it is withdrawn would pay it after all, the day after."""
    now, first = timezone.now(), newest()
    rates = {bucket: 2 * getattr(first, bucket) for bucket in BUCKETS}
    made = [
        Price.objects.create(model_id="gpt-4o", effective_at=now + timedelta(days=days), **rates)
        for days in (2, 3)
    ]
    client = staff("catalogue")
    for row, done in ((made[0], False), (made[1], True), (made[0], True)):
        client.post(f"/admin/gateway/price/{row.pk}/delete/", {"post": "yes"})
        assert Price.objects.filter(pk=row.pk).exists() != done


def test_a_price_about_to_bind_can_no_longer_be_withdrawn() -> None:
    client = staff("catalogue")
    add(client)
    url = f"/admin/gateway/price/{newest().pk}/delete/"
    assert client.post(url, {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": newest().pk, "post": "yes"}
    client.post("/admin/gateway/price/", action)
    assert newest().input == nanos("3.25")


def test_a_price_in_force_cannot_be_deleted_by_whoever_comes_past_the_pages() -> None:
    with pytest.raises(ValueError, match="stays"):
        newest().delete()


def test_everybody_sees_what_is_to_come_and_from_when(client: Client, alice: Person) -> None:
    price = newest()
    coming = Price(
        model_id="gpt-4o",
        effective_at=timezone.now() + timedelta(days=3),
        reason="for the test",
        **{bucket: 2 * getattr(price, bucket) for bucket in BUCKETS},
    )
    schedule.announce(coming, actor="tests")
    (told,) = [m for m in client.get("/api/models").json()["data"] if m["id"] == "gpt-4o"]
    assert told["prices_per_million_tokens"]["input"] == "2.50"
    (later,) = told["coming_prices"]
    assert later["prices_per_million_tokens"]["input"] == "5.00"
    assert later["effective_at"] == coming.effective_at.isoformat()
    shown = client.get("/models").content.decode()
    assert "$5.00 in, $20.00 out" in shown and "$2.50" in shown


def test_the_receipts_page_names_the_version(client: Client, alice: Person) -> None:
    seed()
    price = Price.objects.get(model_id="claude-sonnet-4")
    price.pk, price.effective_at = 1165, timezone.now()  # a name and not an amount: 1165
    Price.objects.bulk_create([price])
    event: UsageEvent = used(
        alice, price=price, details={"price_read_at": timezone.now().timestamp()}
    )
    client.force_login(alice.user)
    page = client.get(f"/usage/{event.request_id}").content.decode()
    assert "version 1165" in page and "read " in page
