"""The page of usage answers questions: any time, compared, grouped twice, down to the minute,
kept under a name, and taken along as a file whose sums are those of the page."""

import csv
import io
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from uuid_utils import uuid7

from accounts.keys import api_keys
from accounts.models import ApiKey
from accounts.sign_in import deletion
from billing.plans.seed import seed
from gateway.dashboard.models import SavedView
from gateway.usage import log
from gateway.usage.models import UsageEvent, UsageHour
from gateway.usage.request_ids import first_id
from hontoni.money import dollars, nanos
from tests.web.test_pages import text
from tests.world import Person, used

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


def spent(person: Person, at: datetime, cost: str = "1", **changes: Any) -> UsageEvent:
    """A request of then, in the log and in the rollups, as settlement writes both."""
    first = first_id(at.timestamp()).int
    low = uuid.UUID(bytes=uuid7().bytes).int & (2**62 - 1)
    pk = uuid.UUID(int=first | low)
    row = {"model": "gpt-4o", "tool": "Codex", "cost": nanos(cost), "api_key": person.key}
    event = used(person, id=pk, created_at=at, **row | changes)
    named: dict[str, Any] = {"model": event.model, "tool": event.tool, "api_key": event.api_key}
    hour, _ = UsageHour.objects.get_or_create(
        user=person.user, hour=at.replace(minute=0, second=0, microsecond=0), **named
    )
    sums = {name: F(name) + getattr(event, name) for name in ("input", "output", "cost")}
    more = {"requests": F("requests") + 1, "errors": F("errors") + (event.status >= 400)}
    UsageHour.objects.filter(pk=hour.pk).update(**sums, **more)
    return event


def read(client: Client, url: str) -> bytes:
    """A file, streamed; without an event loop, in which there would be another connection."""
    answer: Any = client.get(url)
    assert answer.status_code == 200
    parts = []
    while True:
        try:
            answer.streaming_content.__anext__().send(None)
        except StopIteration as part:
            parts.append(part.value)
        except StopAsyncIteration:
            return b"".join(parts)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are made in the test's own transaction."""

    async def here(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr("gateway.dashboard.views.export_views.in_thread", here)


def test_two_levels_of_groups_add_up_and_lead_on(as_alice: Client, alice: Person) -> None:
    other, _ = api_keys.mint(alice.user, "server")
    spent(alice, NOON, "3", api_key=other)
    spent(alice, NOON, "2")
    spent(alice, NOON, "1", model="claude-sonnet-4")
    page = text(as_alice.get("/usage?since=2026-11-09&until=2026-11-11&by=model&then=api_key_id"))
    rows = re.findall(
        r'<tr class="(first|second)">.*?href="/usage\?([^"]*)">([^<]*)<.*?([$][0-9.]+)</td>', page
    )
    assert [(level, name, cost) for level, _, name, cost in rows] == [
        *(("first", "gpt-4o", "$5.00"), ("second", "server", "$3.00")),
        *(("second", "laptop", "$2.00"), ("first", "claude-sonnet-4", "$1.00")),
        ("second", "laptop", "$1.00"),
    ]
    inside = text(as_alice.get("/usage?" + rows[1][1].replace("&amp;", "&")))
    assert inside.count('id="r') == 1 and "server" in inside


def test_days_are_a_group_too(as_alice: Client, alice: Person) -> None:
    spent(alice, NOON, "2")
    spent(alice, NOON - timedelta(days=1), "1")
    page = text(as_alice.get("/usage?since=2026-11-09&until=2026-11-11&by=day&then=tool"))
    found = re.findall(r'<tr class="first">.*?">([^<]*)</a>', page)
    assert found == ["10 Nov 2026", "9 Nov 2026"]


@pytest.mark.parametrize(
    ("compare", "says"),
    [
        ("", "$7.00 in the time before"),
        ("week", "$0.50 compared with"),
        ("month", "$0.25 compared with"),
    ],
)
def test_a_time_is_compared_with_an_earlier_one(
    as_alice: Client, alice: Person, compare: str, says: str
) -> None:
    spent(alice, NOON, "3")
    for days, cost in ((1, "7"), (7, "0.50"), (28, "0.25")):
        spent(alice, NOON - timedelta(days=days), cost)
    page = text(as_alice.get(f"/usage?since=2026-11-10&until=2026-11-10&compare={compare}"))
    assert f"$3.00<small>{says}</small>" in page and 'class="earlier"' in page
    alone = text(as_alice.get("/usage?since=2026-11-10&until=2026-11-10&compare=none"))
    assert "in the time before" not in alone and 'class="earlier"' not in alone


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Asia/Ho_Chi_Minh", "Pacific/Chatham"])
def test_a_bar_leads_to_its_hours_and_an_hour_to_its_minutes(
    as_alice: Client, alice: Person, zone: str
) -> None:
    as_alice.cookies["time_zone"] = zone
    there = spent(alice, NOON + timedelta(minutes=41), "1.25")
    page = text(as_alice.get("/usage?since=2026-11-08&until=2026-11-12"))
    for bars in (24, 60):
        (link,) = re.findall(r'<a class="bar" href="/usage\?([^"]+)"', page)
        page = text(as_alice.get("/usage?" + link.replace("&amp;", "&")))
        assert page.count('class="bar"') == bars
        assert "$1.25" in page and there.request_id in page
    assert not re.findall(r'<a class="bar"', page)  # it is down to the minute
    assert as_alice.get("/usage?hour=2026-11-10T99Z").status_code == 404


def test_an_hour_of_one_outcome_is_drawn_of_its_requests(as_alice: Client, alice: Person) -> None:
    spent(alice, NOON, "1")
    spent(alice, NOON, "0", status=502, error="upstream_error")
    page = text(as_alice.get("/usage?hour=2026-11-10T12Z&outcome=failed&measure=requests"))
    assert page.count('class="bar"') == 60 and "gpt-4o: 1" in page


def test_a_day_that_is_an_hour_longer_has_25_bars(as_alice: Client, alice: Person) -> None:
    as_alice.cookies["time_zone"] = "Europe/Berlin"
    for hour in (0, 1):  # 02:30 twice, that night
        spent(alice, datetime(2026, 10, 25, hour, 30, tzinfo=UTC), "1")
    page = text(as_alice.get("/usage?since=2026-10-25&until=2026-10-25&compare=none"))
    assert page.count('class="bar"') == 25
    assert page.count('<a class="bar"') == 2 and "$2.00" in page


def test_a_view_is_kept_under_a_name(as_alice: Client, alice: Person, bob: Person) -> None:
    saved = as_alice.post(
        "/usage/views", {"name": "My tools", "query": "days=30&by=tool&then=day"}
    )
    assert saved["Location"] == "/usage?days=30&by=tool&then=day"
    assert 'href="?days=30&amp;by=tool&amp;then=day"' in text(as_alice.get("/usage"))
    as_alice.post("/usage/views", {"name": "My tools", "query": "days=7&model=gpt-4o"})
    (view,) = SavedView.objects.all()
    assert view.query == "days=7&model=gpt-4o"
    assert as_alice.post("/usage/views", {"name": "x", "query": "days=8"}).status_code == 404
    as_alice.post("/usage/views", {"name": " ", "query": "days=7"})
    stranger = Client()
    stranger.force_login(bob.user, "allauth.account.auth_backends.AuthenticationBackend")
    stranger.post(f"/usage/views/{view.pk}/remove")
    assert "My tools" not in text(stranger.get("/usage")) and SavedView.objects.count() == 1
    as_alice.post(f"/usage/views/{view.pk}/remove")
    assert not SavedView.objects.exists()


def test_views_are_bounded_and_go_with_the_account(as_alice: Client, alice: Person) -> None:
    for n in range(SavedView.MOST + 1):
        as_alice.post("/usage/views", {"name": f"v{n}", "query": "days=7"})
    assert SavedView.objects.count() == SavedView.MOST
    deletion.delete(alice.user)
    assert not SavedView.objects.exists()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("narrowed", ["", "&model=gpt-4o", "&tool=Codex&outcome=failed", "&key=0"])
def test_what_is_downloaded_is_what_the_page_shows(
    as_alice: Client, alice: Person, bob: Person, narrowed: str
) -> None:
    narrowed = narrowed.replace("key=0", f"key={alice.key.pk}")
    mine = [
        spent(alice, NOON, "0.5"),
        spent(alice, NOON + timedelta(hours=1), "0.123456789", status=502),
        spent(
            alice, NOON, "2", model="claude-sonnet-4", api_key=api_keys.mint(alice.user, "=x")[0]
        ),
    ]
    spent(alice, NOON - timedelta(days=2), "9")
    spent(bob, NOON, "9")
    query = f"since=2026-11-10&until=2026-11-10{narrowed}"
    ids = re.findall(r'id="r([0-9a-f]{32})"', text(as_alice.get(f"/usage?{query}")))
    lines = list(csv.DictReader(io.StringIO(read(as_alice, f"/usage.csv?{query}").decode())))
    table = pq.read_table(io.BytesIO(read(as_alice, f"/usage.parquet?{query}")))
    rows = table.to_pylist()
    assert ids and [f"req_{each}" for each in ids] == [row["request_id"] for row in lines]
    assert [row["request_id"] for row in lines] == [row["request_id"] for row in rows]
    assert [Decimal(row["cost_usd"]) for row in lines] == [row["cost_usd"] for row in rows]
    known = {each.request_id: each.cost for each in mine}
    assert all(row["cost_usd"] == Decimal(dollars(known[row["request_id"]])) for row in rows)
    assert all(row["vendor"] and row["created_at"].tzinfo for row in rows)


@pytest.mark.usefixtures("stored")
def test_the_sums_by_hour_are_those_of_the_chart(as_alice: Client, alice: Person) -> None:
    spent(alice, NOON, "0.5")
    spent(alice, NOON, "0.25", status=502)
    spent(alice, NOON - timedelta(days=3), "9")
    query = "since=2026-11-10&until=2026-11-10"
    (line,) = csv.DictReader(io.StringIO(read(as_alice, f"/usage/hours.csv?{query}").decode()))
    (row,) = pq.read_table(io.BytesIO(read(as_alice, f"/usage/hours.parquet?{query}"))).to_pylist()
    assert line["cost_usd"] == "0.75" and row["cost_usd"] == Decimal("0.75")
    assert (row["requests"], row["errors"], row["hour"]) == (2, 1, NOON)
    everything = read(as_alice, "/usage/hours.parquet")
    assert pq.read_table(io.BytesIO(everything)).num_rows == 2
    empty = pq.read_table(io.BytesIO(read(as_alice, "/usage.parquet?since=2020-01-01")))
    assert empty.num_rows == 0 and "cost_usd" in empty.column_names


def test_a_log_that_is_narrowed_goes_on_after_half_an_hour(alice: Person) -> None:
    """An hour that was read in part counts as far as it was not."""
    for minute in range(4):
        spent(alice, NOON + timedelta(minutes=minute))
    older = spent(alice, NOON - timedelta(hours=5))
    events = UsageEvent.objects.filter(user=alice.user)
    wanted = {"model": "gpt-4o"}
    first = list(log.narrowed(events, alice.user.pk, wanted, most=3)[:3])
    rest = log.narrowed(events, alice.user.pk, wanted, before=first[-1].pk, most=2)
    assert [each.pk for each in rest][-1] == older.pk


def test_the_log_shows_route_and_attempts(as_alice: Client, alice: Person) -> None:
    tries = [
        {"credential": "secret-a", "status": 503, "ms": 120, "error": "overloaded"},
        {"credential": "secret-b", "status": 200, "ms": 900},
    ]
    spent(alice, NOON, model="claude-sonnet-4", details={"attempts": tries}, dialect="openai_chat")
    page = text(as_alice.get("/usage?since=2026-11-10"))
    assert re.search(r"Chat Completions → <svg.*?</svg>Anthropic", page) and "2 attempts" in page
    assert "503 overloaded 120 ms, 200 900 ms" in page and "secret" not in page


def test_the_export_of_an_account_has_its_views(as_alice: Client, alice: Person) -> None:
    from gateway.dashboard.views import data_views

    SavedView.keep(alice.user.pk, "Mine", "days=7")
    ((_, row),) = data_views._views(alice.user, None)
    assert json.loads(json.dumps(row)) == {"name": "Mine", "query": "days=7"}
    assert ApiKey.objects.filter(user=alice.user).count() == 1


def test_a_key_and_a_model_have_numbers_of_their_own(as_alice: Client, alice: Person) -> None:
    now = timezone.now() - timedelta(days=2)
    server, _ = api_keys.mint(alice.user, "server")
    spent(alice, now, "1.25", api_key=server)
    spent(alice, now, "2.50", model="claude-sonnet-4")
    own = text(as_alice.get(f"/keys/{server.pk}"))
    assert "$1.25" in own and "gpt-4o: $1.25" in own and "$2.50" not in own
    model = text(as_alice.get("/models/claude-sonnet-4"))
    assert "laptop: $2.50" in model and "laptop: $1.25" not in model
    assert "Not used in 30 days" in text(as_alice.get("/models/gpt-4o-mini"))
    assert "Your usage" not in text(Client().get("/models/gpt-4o"))


def test_the_page_of_the_money_adds_usage_up_by_day(as_alice: Client, alice: Person) -> None:
    seed()
    day = timezone.now().replace(hour=12) - timedelta(days=2)
    spent(alice, day, "0.25")
    spent(alice, day, "0.125")
    spent(alice, day - timedelta(days=1), "1")
    page = text(as_alice.get("/billing"))
    rows = re.findall(r'href="/usage\?[^"]*since=[^"]+">[^<]+</a></th>.*?</tr>', page)
    assert [re.findall(r">([$]?[0-9.]+)</td>", row) for row in rows] == [
        ["2", "$0.375"],
        ["1", "$1.00"],
    ]


def test_numbers_and_times_are_written_as_the_language_does(
    as_alice: Client, alice: Person
) -> None:
    as_alice.cookies["time_zone"] = "Asia/Kolkata"
    for n in range(3):
        spent(alice, NOON, "1000.5", status=500 if n else 200)
    url = "/usage?since=2026-11-10&until=2026-11-10"
    english = text(as_alice.get(url))
    assert "$3,001.50" in english and "66.7 % failed" in english
    assert "10 Nov, 17:30" in english and "Asia/Kolkata (UTC+05:30)" in english
    vietnamese = text(as_alice.get(url, headers={"Accept-Language": "vi"}))
    assert "$3.001,50" in vietnamese and "66,7 %" in vietnamese and "10/11, 17:30" in vietnamese
