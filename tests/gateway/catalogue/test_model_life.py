"""A model begins, is announced to end, and has ended: what its customers hear at each moment."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from accounts.keys import api_keys
from billing.mails import letters
from billing.mails.models import Notice
from gateway.catalogue import snapshot
from gateway.catalogue.models import BUCKETS, Alias, Model, Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.seed import seed
from gateway.usage.models import UsageHour
from hontoni.money import nanos
from tests.cockpit.test_site import form_of
from tests.gateway.plane.test_limits import limit
from tests.gateway.plane.test_translation import ask
from tests.gateway_server import Gateway, fund
from tests.world import Person

USED = "[[usage: 1000 500 0]] [[say: hi]]"
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages")


def ends(model: str, later: timedelta, **life: Any) -> datetime:
    moment = timezone.now().replace(microsecond=0) + later
    row = Model.objects.get(pk=model)
    for name, value in {"ends_at": moment, **life}.items():
        setattr(row, name, value)
    row.save()
    snapshot.forget()
    return moment


def sunset(headers: Any) -> datetime:
    return parsedate_to_datetime(headers["sunset"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_answer_of_a_model_that_ends_says_so(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    fund(alice, "10")
    end = ends("gpt-4o", timedelta(days=30), successor_id="gpt-5.4")
    for stream in (False, True):
        headers = ask(gateway, alice, dialect, "gpt-4o", USED, stream=stream).headers
        assert sunset(headers) == end
        announced = int(headers["deprecation"].removeprefix("@"))
        assert abs(announced - timezone.now().timestamp()) < 60
        assert headers["x-hontoni-successor"] == "gpt-5.4" and 'rel="sunset"' in headers["link"]
    other = ask(gateway, alice, dialect, "gpt-4.1", USED)
    assert other.status_code == 200 and "sunset" not in other.headers


def test_so_does_a_refusal_and_what_costs_nothing(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    end = ends("claude-opus-4.5", timedelta(days=3))
    with gateway.http(alice) as client:
        said = {"model": "claude-opus-4-5", "messages": [{"role": "user", "content": "x"}]}
        answers = [
            client.post("/v1/messages", json=said | {"max_tokens": "many"}),
            client.post("/v1/chat/completions", json=said | {"model": "claude-opus-4.5-1m"}),
            client.post("/v1/messages/count_tokens", json=said),
            client.post("/v1/estimate", json=said | {"max_tokens": 5}),
            client.get("/v1/models/claude-opus-4.5"),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 200, 200, 200]
    assert {sunset(answer.headers) for answer in answers} == {end}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_has_ended_is_a_404_that_names_its_successor(
    gateway: Gateway, alice: Person, dialect: str
) -> None:
    fund(alice, "10")
    end = ends("gpt-4o", timedelta(seconds=-1), successor_id="gpt-5.4")
    for name in ("gpt-4o", "openai/gpt-4o", "gpt-4o-2024-08-06", "GPT-4o:high"):
        answer = ask(gateway, alice, dialect, name, USED)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "model_retired")
        assert "gpt-5.4" in error["message"] and error["details"]["successor"] == "gpt-5.4"
        assert sunset(answer.headers) == end
    assert gateway.vendors.requests == [] and gateway.balance(alice) == nanos("10")


def test_it_ends_at_its_instant_without_a_reading(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    limit(alice, rpm=1000, five_hours=1000, daily=1000, weekly=1000, monthly=1000)
    end = timezone.now() + timedelta(seconds=1.5)
    Model.objects.filter(pk="gpt-4o").update(ends_at=end)
    snapshot.forget()
    seen: dict[bool, set[int]] = {True: set(), False: set()}
    while (now := timezone.now()) < end + timedelta(seconds=0.4):
        status = gateway.chat(alice, USED).status_code
        if abs((now - end).total_seconds()) > 0.3:
            seen[now < end].add(status)
    assert seen == {True: {200}, False: {404}}


def test_the_successor_answers_if_staff_say_so(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    ends("gpt-5.1", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    answer = gateway.chat(alice, USED, model="gpt-5.1", max_tokens=1000)
    assert answer.status_code == 200 and answer.headers["x-hontoni-model"] == "gpt-5.4"
    assert answer.headers["x-hontoni-instead-of"].startswith("gpt-5.1; ended=")
    assert answer.headers["x-hontoni-instead-of"].endswith("price=lower")
    assert "sunset" in answer.headers
    (event,) = gateway.books()
    assert (event.model, event.requested_model) == ("gpt-5.4", "gpt-5.1")
    assert event.cost == nanos("0.003") + nanos("0.006")
    told = alice.client().get(f"/api/usage/{event.request_id}").json()["instead_of"]
    assert (told["model"], told["price"]) == ("gpt-5.1", "lower")


def test_a_dearer_successor_is_told_by_header_receipt_and_page(
    gateway: Gateway, alice: Person, client: Client
) -> None:
    fund(alice, "10")
    ends("gpt-4o-mini", timedelta(hours=-1), successor_id="gpt-5.4-mini", redirects=True)
    answer = gateway.chat(alice, USED, model="gpt-4o-mini-2024-07-18", max_tokens=1000)
    assert answer.headers["x-hontoni-instead-of"].endswith("price=higher")
    (event,) = gateway.books()
    told = alice.client().get(f"/api/usage/{event.request_id}").json()
    assert told["instead_of"]["price"] == "higher"
    client.force_login(alice.user)
    page = client.get(f"/usage/{event.request_id}").content.decode()
    assert "gpt-4o-mini was retired" in page and "costs more" in page


@pytest.mark.parametrize("agreed", [{"model_id": "gpt-4o"}, {}], ids=["of one", "of all"])
def test_what_a_successor_costs_is_told_by_what_its_customer_pays(
    gateway: Gateway, alice: Person, bob: Person, agreed: dict[str, str]
) -> None:
    """Of one who has a price of their own, of whichever of the two."""
    fund(alice, "10"), fund(bob, "10")
    multiplier = 5_000 if agreed else 9_000
    begins = timezone.now() - timedelta(minutes=1)
    CustomerPrice.objects.create(user=alice.user, multiplier=multiplier, from_at=begins, **agreed)
    first = Price.objects.get(model_id="gpt-4o")
    rates = {bucket: getattr(first, bucket) * (10 if agreed else 11) // 10 for bucket in BUCKETS}
    Price.objects.create(model_id="gpt-5.4", effective_at=timezone.now(), **rates)
    ends("gpt-4o", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    answer = gateway.chat(alice, USED, model="gpt-4o", max_tokens=1000)
    assert answer.headers["x-hontoni-instead-of"].endswith("price=higher")
    assert gateway.books()[-1].details["instead_of"]["price"] == "higher"
    answer = gateway.chat(bob, USED, model="gpt-4o", max_tokens=1000)
    expected = "same" if agreed else "higher"
    assert answer.headers["x-hontoni-instead-of"].endswith(f"price={expected}")


def test_a_successor_that_is_dearer_only_in_long_contexts_is_dearer(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    first = Price.objects.get(model_id="gpt-4o")
    rates = {bucket: getattr(first, bucket) for bucket in BUCKETS}
    long = {f"long_{bucket}": 2 * rate for bucket, rate in rates.items()}
    Price.objects.create(
        model_id="gpt-5.4",
        effective_at=timezone.now(),
        long_context_above=100_000,
        **rates,
        **long,
    )
    ends("gpt-4o", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    answer = gateway.chat(alice, USED, model="gpt-4o", max_tokens=1000)
    assert answer.headers["x-hontoni-instead-of"].endswith("price=higher")


def test_a_key_for_the_retired_model_may_ask_a_successor_that_is_not_dearer(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    api_keys.change(alice.key, allowed_models=["gpt-5.1", "gpt-4o"])
    ends("gpt-5.1", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    ends("gpt-4o", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    assert gateway.chat(alice, USED, model="gpt-5.1").status_code == 200
    assert gateway.chat(alice, USED, model="gpt-4o").status_code == 403, "it is dearer"
    assert gateway.chat(alice, USED, model="gpt-5.4").status_code == 403


def test_what_another_model_answers_for_is_still_listed_at_what_is_paid(
    gateway: Gateway, alice: Person
) -> None:
    ends("gpt-5.1", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    ends("gpt-4o", timedelta(hours=-1), successor_id="gpt-5.4")
    with gateway.http(alice) as http:
        for path in ("/v1/models", "/api/models"):
            rows = {row["id"]: row for row in http.get(path).json()["data"]}
            assert "gpt-4o" not in rows and rows["gpt-5.1"]["successor"] == "gpt-5.4"
        assert rows["gpt-5.1"]["prices_per_million_tokens"]["output"] == "12.00"
        one = http.get("/v1/models/gpt-5.1")
        assert (one.json()["id"], "sunset" in one.headers) == ("gpt-5.1", True)
        assert http.get("/v1/models/gpt-4o").json()["error"]["code"] == "model_retired"
        assert "gpt-5.1" in http.get("/models").text


def test_successors_of_successors_and_rings_of_them(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    ends("gpt-5.1", timedelta(hours=-2), successor_id="gpt-5.2", redirects=True)
    ends("gpt-5.2", timedelta(hours=-1), successor_id="gpt-5.4", redirects=True)
    answer = gateway.chat(alice, USED, model="gpt-5.1")
    assert answer.headers["x-hontoni-model"] == "gpt-5.4"
    ends("gpt-5.2", timedelta(hours=-1), successor_id="gpt-5.1", redirects=True)
    assert gateway.chat(alice, USED, model="gpt-5.1").status_code == 404


def test_what_is_not_yet_available_is_not_sold(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    Model.objects.filter(pk="gpt-4.1").update(available_from=timezone.now() + timedelta(hours=1))
    snapshot.forget()
    refused = gateway.chat(alice, USED, model="gpt-4.1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    with gateway.http(alice) as http:
        assert "gpt-4.1" not in {m["id"] for m in http.get("/v1/models").json()["data"]}
        assert "gpt-4.1" not in {m["id"] for m in http.get("/api/models").json()["data"]}


def test_every_list_has_the_end_and_the_successor(
    gateway: Gateway, alice: Person, client: Client
) -> None:
    end = ends("gpt-4o", timedelta(days=30), successor_id="gpt-5.4")
    with gateway.http(alice) as http:
        for path in ("/v1/models", "/api/models"):
            (row,) = [m for m in http.get(path).json()["data"] if m["id"] == "gpt-4o"]
            assert datetime.fromisoformat(row["ends_at"]) == end
            assert (row["successor"], row["available_from"]) == ("gpt-5.4", None)
    day = date_format(end, "DATE_FORMAT")
    client.force_login(alice.user)
    key = f"/keys/{alice.key.pk}"
    for path in ("/", "/models", "/pricing", "/status", "/docs/names", "/playground", key):
        page = client.get(path).content.decode()
        assert "ends" in page and day in page, path


def test_of_two_models_a_name_means_the_one_that_is_not_dearer(db: None) -> None:
    seed()
    Alias.objects.filter(name="claude-opus-5-5").update(alternative="claude-sonnet-4.6")
    assert snapshot.load().resolve("claude-opus-5-5")[0].id == "claude-sonnet-4.6"
    first = Price.objects.get(model_id="claude-sonnet-4.6")
    rates = {bucket: 9 * getattr(first, bucket) for bucket in BUCKETS}
    Price.objects.create(model_id="claude-sonnet-4.6", effective_at=timezone.now(), **rates)
    assert snapshot.load().resolve("claude-opus-5-5")[0].id == "claude-opus-4.6"


@pytest.mark.any_database
def test_an_end_that_staff_put_into_the_past_is_told_once(
    alice: Person, bob: Person, admin_client: Client
) -> None:
    """A vendor switches it off, and staff hear of it when it has happened."""
    seed()
    row = Model.objects.get(pk="gpt-4o")
    Model.objects.filter(pk=row.pk).update(released_at=datetime(2026, 1, 1, tzinfo=UTC))
    for who, days in ((alice, 2), (bob, 40)):
        then = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
        UsageHour.objects.create(user=who.user, api_key=who.key, hour=then, model=row.pk)
    path, yesterday = f"/admin/gateway/model/{row.pk}/change/", timezone.now() - timedelta(days=1)
    form = form_of(admin_client.get(path)) | {"successor": "gpt-5.4", "redirects": ""}
    form |= {"released_at_0": "2026-01-01", "released_at_1": "00:00:00"}
    form |= {"ends_at_0": f"{yesterday:%Y-%m-%d}", "ends_at_1": "00:00:00"}
    for _ in range(2):
        answer = admin_client.post(path, form)
        assert answer.status_code == 302, answer.context["adminform"].form.errors
    (notice,) = Notice.objects.filter(kind="model_ends")
    assert (notice.user, notice.facts["over"]) == (alice.user, True)
    for language, words in (("en", "gpt-4o ended on"), ("vi", "gpt-4o đã ngừng hoạt động")):
        mail = letters.compose(
            notice.kind, notice.facts, to="a@x", name="", language=language, message_id="<1@x>"
        )
        assert words in mail.body and "gpt-5.4" in mail.body
