"""What a tool, a tier or a region costs is announced as models' prices are, and binds so."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.books.models import AuditEntry
from billing.mails import letters
from billing.mails.models import Notice
from gateway.catalogue.costs import margins
from gateway.catalogue.costs.models import FeatureCost
from gateway.catalogue.features.models import Feature, FeaturePrice
from gateway.catalogue.models import Model
from gateway.catalogue.prices import schedule
from gateway.catalogue.seed import seed
from gateway.pricing import announcements
from gateway.usage.models import FeatureUse, UsageHour
from hontoni.money import nanos
from tests.gateway.catalogue.features import vendor
from tests.gateway.catalogue.features.test_pricing import SEARCH, charged, check_receipt
from tests.gateway.usage.test_quarantine import staff
from tests.gateway_server import Gateway, fund
from tests.world import Person

ADD, MANY = "/admin/gateway/featureprice/add/", "/admin/gateway/featureprice/many/"


@pytest.fixture
def search(db: None) -> Feature:
    """Claude's search of the web, at a cent a call."""
    seed()
    return Feature.objects.get(dialect="anthropic_messages", name="web_search_*")


def version(row: Feature, amount: str, at: datetime, **more: Any) -> FeaturePrice:
    made = {"pricing": "per_call", "amount": nanos(amount)} | more
    return FeaturePrice.objects.create(feature=row, effective_at=at, **made)


def announced(client: Client, row: Feature, **typed: Any) -> Any:
    """Type a version, and confirm what is shown again."""
    body = {"feature": row.pk, "pricing": "per_call", "amount": "0.01", "factor": "10000"}
    body |= {"effective_at_0": "", "effective_at_1": "", "reason": ""} | typed
    answer = client.post(ADD, body)
    widget = answer.status_code == 200 and answer.context["adminform"].form.fields["confirmed"]
    if widget and (seal := widget.widget.attrs.get("value")):
        answer = client.post(ADD, body | {"confirmed": seal})
    return answer


def refused(client: Client, row: Feature, **typed: Any) -> str:
    answer = announced(client, row, **typed)
    assert answer.status_code == 200
    return str(answer.content.decode())


def users(*people: Person, row: Feature, days: int = 1) -> None:
    for each in people:
        then = timezone.now() - timedelta(days=days)
        FeatureUse.objects.create(user=each.user, feature=row, last_at=then)


def searched(gateway: Gateway, alice: Person) -> Any:
    usage: dict[str, Any] = {"input_tokens": 1_000, "output_tokens": 100}
    usage |= {"server_tool_use": {"web_search_requests": 2}}
    vendor.answers(gateway, vendor.message(usage))
    vendor.messages(gateway, alice, "claude-sonnet-4.6", tools=[SEARCH])
    return charged(gateway)


# -- What is charged -----------------------------------------------------------------------------


def test_a_call_is_charged_at_the_version_of_its_moment_and_the_receipt_names_it(
    gateway: Gateway, alice: Person, client: Client
) -> None:
    """Announced long ago, coming, and withdrawn: the tool's price changes as a model's does."""
    row = Feature.objects.get(dialect="anthropic_messages", name="web_search_*")
    fund(alice, "50")
    now = timezone.now()
    version(row, "0.3", now - timedelta(days=2))
    held = version(row, "0.02", now - timedelta(days=1))
    version(row, "7", now + timedelta(days=1))
    event = searched(gateway, alice)
    assert event.cost == nanos("0.04") + nanos("0.0045")
    (calls,) = [each for each in check_receipt(alice, event) if each["kind"] == "calls"]
    assert calls["price_versions"] == [{"feature": row.pk, "version": held.pk}]
    assert FeatureUse.objects.get(user=alice.user, feature=row).last_at == event.created_at
    shown = {m["id"]: m["features"] for m in client.get("/api/models").json()["data"]}
    (offer,) = [f for f in shown["claude-sonnet-4.6"] if f["name"] == "web_search"]
    assert (offer["price_per_call"], offer["coming_prices"][0]["price_per_call"]) == (
        "0.02",
        "7.00",
    )
    assert ": $7.00 each" in client.get("/docs/models-and-pricing").content.decode()
    client.force_login(alice.user)
    page = client.get(f"/usage/{event.request_id}").content.decode()
    assert f"version {held.pk}" in page


def test_a_tool_s_price_binds_on_an_idle_node_at_its_instant(
    gateway: Gateway, alice: Person
) -> None:
    from gateway.catalogue import clock, snapshot

    fund(alice, "50")
    searched(gateway, alice)
    row = Feature.objects.get(dialect="anthropic_messages", name="web_search_*")
    at = timezone.now() + timedelta(hours=1)
    later = version(row, "0.5", at)
    read = snapshot.read()
    for moment, paid, pk in (
        (at - timedelta(microseconds=1), nanos("0.01"), 0),
        (at, nanos("0.5"), later.pk),
    ):
        found = read.at(clock.of(moment)).models["claude-sonnet-4.6"].rules().meters
        (search,) = [each for each in found if each.name == "web_search_*"]
        assert (search.amount, search.version) == (paid, pk)


def test_a_tier_s_factor_has_versions_too(gateway: Gateway, alice: Person) -> None:
    fund(alice, "50")
    row = Feature.objects.get(dialect="anthropic_messages", name="inference_geo=us")
    held = version(row, "0", timezone.now() - timedelta(days=1), pricing="factor", factor=12_000)
    usage = {"input_tokens": 1_000, "output_tokens": 100, "inference_geo": "us"}
    vendor.answers(gateway, vendor.message(usage))
    vendor.messages(gateway, alice, "claude-sonnet-4.6", inference_geo="us")
    event = charged(gateway)
    assert event.cost == nanos("0.0054")
    lines = [each for each in check_receipt(alice, event) if each.get("tokens")]
    assert {each["factor"] for each in lines} == {"1.2"}
    assert lines[0]["price_versions"] == [{"feature": row.pk, "version": held.pk}]
    assert FeatureUse.objects.filter(user=alice.user, feature=row).exists()


# -- What staff announce -------------------------------------------------------------------------


def test_a_rise_waits_for_its_notice_and_those_who_use_it_are_told(
    search: Feature, alice: Person, bob: Person, carol: Person
) -> None:
    users(alice, row=search)
    users(bob, row=search, days=31)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    UsageHour.objects.create(
        user=carol.user, api_key=carol.key, hour=hour, model="claude-opus-4.6"
    )
    client, now = staff("catalogue"), timezone.now()
    soon = now + timedelta(days=2)
    early = {"effective_at_0": f"{soon:%Y-%m-%d}", "effective_at_1": "00:00"}
    assert "told 14 days before" in refused(client, search, amount="0.0125", **early)
    assert announced(client, search, amount="0.0125").status_code == 302
    made = FeaturePrice.objects.get()
    assert timedelta(days=14) <= made.effective_at - now < timedelta(days=14, minutes=1)
    (notice,) = Notice.objects.all()
    assert (notice.user, notice.kind) == (alice.user, "feature_price_rises")
    for language, words in (("en", "web_search"), ("vi", "mỗi lượt gọi")):
        mail = letters.compose(
            notice.kind, notice.facts, to="a@x", name="", language=language, message_id="<1@x>"
        )
        assert words in mail.body and "$0.01 → $0.0125 (+25 %)" in mail.body
    users(carol, row=search)
    assert (announcements.rises(timezone.now()), announcements.rises(timezone.now())) == (1, 0)
    entry = AuditEntry.objects.get(action="add feature price")
    assert (entry.before["per_call"], entry.after["per_call"]) == ("0.01", "0.0125")
    page = client.get(f"/admin/gateway/featureprice/{made.pk}/change/").content.decode()
    assert "$0.01" in page and "$0.0125" in page and "+25 %" in page
    url = f"/admin/gateway/featureprice/{made.pk}/delete/"
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert Notice.objects.filter(facts__withdrawn=True).count() == 2
    assert not FeaturePrice.objects.exists()


@pytest.mark.any_database
def test_slips_of_digits_and_prices_below_cost_are_looked_at_twice(search: Feature) -> None:
    client = staff("catalogue")
    FeatureCost.objects.create(
        feature=search, since=date(2026, 1, 1), amount=nanos("0.009"), source="its list"
    )
    body = {"feature": search.pk, "pricing": "per_call", "amount": "0.1", "factor": "10000"}
    page = client.post(ADD, body | {"effective_at_0": "", "effective_at_1": "", "reason": "x"})
    assert "$0.01 → $0.10 (+900 %)" in page.content.decode() and not FeaturePrice.objects.exists()
    assert "Below what the vendor charges" in refused(client, search, amount="0.008")
    assert "Below what the vendor charges" in refused(client, search, pricing="included")
    assert announced(client, search, amount="0.008", reason="a campaign").status_code == 302
    made = FeaturePrice.objects.get()
    assert made.effective_at >= timezone.now() + schedule.LEAD - timedelta(seconds=5)
    shown = client.get("/admin/gateway/featureprice/").content.decode()
    assert "$0.009: −$0.001 (−11.1 %)" in shown
    tier = Feature.objects.get(dialect="anthropic_messages", name="inference_geo=us")
    typed = {"pricing": "factor", "amount": "0", "factor": "110000", "reason": "x"}
    first = client.post(ADD, {**body, **typed, "feature": tier.pk, "effective_at_0": ""})
    assert "$1.10 → $11.00 (+900 %)" in first.content.decode()


@pytest.mark.any_database
def test_a_version_is_never_changed_and_its_feature_stays(search: Feature) -> None:
    client, made = staff("catalogue"), version(search, "0.01", timezone.now())
    page = client.get(f"/admin/gateway/feature/{search.pk}/change/").content.decode()
    assert 'name="amount"' not in page and "$0.01 a call" in page
    client.post(f"/admin/gateway/feature/{search.pk}/change/", {"amount": "5", "factor": "1"})
    client.post(f"/admin/gateway/feature/{search.pk}/delete/", {"post": "yes"})
    client.post(f"/admin/gateway/featureprice/{made.pk}/delete/", {"post": "yes"})
    search.refresh_from_db()
    assert search.amount == nanos("0.01")
    with pytest.raises(ValueError, match="never changed"):
        made.save()
    with pytest.raises(ValueError, match="stays"):
        made.delete()


def edited(client: Client, row: Feature, **changes: Any) -> Any:
    url = f"/admin/gateway/feature/{row.pk}/change/"
    form = client.get(url).context["adminform"].form
    typed = {name: form[name].value() for name in form.fields}
    return client.post(url, {k: v for k, v in typed.items() if v not in (None, False)} | changes)


def test_a_row_that_stands_before_a_cheaper_one_needs_a_reason_and_is_told(
    search: Feature, alice: Person
) -> None:
    """Other doors to a rise: a longer name, a row for one model, one switched off, its meter."""
    client = staff("catalogue")
    users(alice, row=search)
    names = ("dialect", "kind", "meter", "most_calls", "bound", "note")
    new = {name: getattr(search, name) for name in names}
    new |= {"pricing": "per_call", "amount": "0.011", "factor": "10000", "active": "on"}
    add = "/admin/gateway/feature/add/"
    for name, only in (("web_search_20250305", ""), ("web_search_*", "claude-opus-4.6")):
        typed = new | {"name": name, "only_models": only, "reason": ""}
        answer = client.post(add, typed).content.decode()
        assert "Dearer than before" in answer and "$0.01 a call → $0.011 a call" in answer
        assert client.post(add, typed | {"amount": "0.01"}).status_code == 302, "no dearer"
    assert not Notice.objects.exists()
    narrow = Feature.objects.get(name="web_search_20250305")
    cheap = FeaturePrice.objects.create(
        feature=narrow, pricing="included", effective_at=timezone.now()
    )
    off = {"active": ""}
    assert "Dearer than before" in edited(client, narrow, **off).content.decode()
    assert "Dearer than before" in edited(client, narrow, name="web_search_1").content.decode()
    meter = {"meter": "web_search_requests, web_fetch_requests"}
    assert "Dearer than before" in edited(client, search, **meter).content.decode()
    users(alice, row=narrow)
    Model.objects.exclude(pk="claude-opus-4.6").update(active=False)
    assert edited(client, narrow, **off, reason="its vendor").status_code == 302
    assert Notice.objects.get().facts["rows"][0]["new"] == "0.01"
    assert AuditEntry.objects.get(action="price feature").after == {"reason": "its vendor"}
    assert cheap.pk and edited(client, search, note="a search").status_code == 302


# -- Many at once --------------------------------------------------------------------------------


def test_many_are_pasted_looked_at_and_applied_together(search: Feature, alice: Person) -> None:
    client = staff("catalogue")
    users(alice, row=search)
    exported = client.get("/admin/gateway/featureprice/export/").content.decode()
    assert "web_search_*,anthropic_messages,tool,,per_call,0.01,1" in exported
    head = "name;dialect;kind;only_models;pricing;per_call;factor"
    geo = Feature.objects.get(name="inference_geo=us").only_models
    lines = ["web_search_*;anthropic_messages;tool;;;0.011;", f"inference_geo=us;;;{geo};;;1.2"]
    text = "\n".join([head, *lines])
    for line, why in (
        ("service_tier=priority;;;;;;2", "More than one feature is meant"),
        ("service_tier=;;;;;;2", "no such feature"),
        ("web_search_*;;;;per call;;", "pricing is one of"),
        ("bash_*;anthropic_messages;tool;;per_call;1;", "needs a meter and a most"),
    ):
        assert why in client.post(MANY, {"text": f"{head}\n{line}"}).content.decode()
    page = client.post(MANY, {"text": text})
    shown = page.content.decode()
    assert "+10 %" in shown and "$1.10" in shown and "$1.20" in shown
    assert not FeaturePrice.objects.exists()
    seen = page.context["form"].data["seen"]
    assert client.post(MANY, {"text": text, "seen": seen}).status_code == 302
    assert sorted(FeaturePrice.objects.values_list("amount", "factor")) == [
        (0, 12_000),
        (nanos("0.011"), 10_000),
    ]
    assert Notice.objects.get().user == alice.user
    for cell, why in (("nan", "factor is a number"), ("-1", "factor is a number")):
        odd = text.replace("1.2", cell)
        assert why in client.post(MANY, {"text": odd}).content.decode()
    assert FeaturePrice.objects.count() == 2


# -- What it costs us ----------------------------------------------------------------------------


@pytest.mark.any_database
def test_a_cost_is_superseded_and_never_edited(search: Feature) -> None:
    client, url = staff("catalogue"), "/admin/gateway/featurecost/"
    body = {"feature": search.pk, "since": "2026-01-01", "factor": "10000", "reason": ""}
    assert client.post(f"{url}add/", body | {"amount": "0.008", "source": ""}).status_code == 200
    typed = body | {"amount": "0.008", "source": "its list"}
    assert client.post(f"{url}add/", typed).status_code == 302
    slip = FeatureCost.objects.get()
    page = client.post(f"{url}add/", typed | {"amount": "0.08"}).content.decode()
    assert "$0.008 → $0.08 (+900 %)" in page
    page = client.post(f"{url}add/", typed | {"amount": "0.0105"}).content.decode()
    assert "Sold below cost from then on: the list: a call −$0.0005" in page
    assert client.post(f"{url}add/", typed | {"amount": "0.0085"}).status_code == 302
    assert margins.feature_costs(date(2026, 6, 1))[search.pk].amount == nanos("0.0085")
    client.post(f"{url}{slip.pk}/change/", typed | {"amount": "9"})
    client.post(f"{url}{slip.pk}/delete/", {"post": "yes"})
    assert FeatureCost.objects.count() == 2
    for deed in (slip.save, slip.delete):
        with pytest.raises(ValueError, match="A cost"):
            deed()
