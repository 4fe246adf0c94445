"""The benchmark of the pages: its rows are consistent, and its tables say what was measured."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from bench import browser, rows, web
from billing.plans.seed import seed as seed_billing
from gateway.catalogue.seed import seed
from gateway.reconciliation import rollup_invariants
from gateway.usage.models import UsageEvent, UsageHour
from tests.world import Person


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_the_rows_are_a_usage_as_it_could_have_been(alice: Person, bob: Person) -> None:
    seed()
    rows.fill(3_000, [(alice.user.pk, alice.key.pk)] + [(bob.user.pk, bob.key.pk)] * 99)
    assert UsageEvent.objects.count() == 3_000
    assert UsageEvent.objects.filter(user=alice.user).count() == 1_500
    assert list(rollup_invariants.problems(None)) == []
    assert set(UsageHour.objects.values_list("tool", flat=True)) == {
        "Claude Code", "Codex", "OpenAI SDK, Python", "curl",
    }  # fmt: skip
    first, last = UsageEvent.objects.order_by("pk")[0], UsageEvent.objects.order_by("-pk")[0]
    assert first.created_at < last.created_at  # ids are in the order of time
    indexes = connection.introspection.get_constraints(connection.cursor(), "gateway_usageevent")
    assert {"usage_of_user", "usage_failed"} <= set(indexes)


def test_its_session_opens_the_pages(alice: Person) -> None:
    client = Client()
    client.cookies[web.COOKIE] = rows.session(alice.user.pk)
    assert client.get("/keys").status_code == 200


def test_every_page_it_opens_is_one(alice: Person) -> None:
    seed_billing()
    seed()
    client = Client()
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    for path in web.paths(web.PAGES, alice.user.pk).values():
        assert client.get(path, follow=True).status_code == 200, path
    owner = User.objects.create_superuser("staff@example.com", "x")
    client.force_login(owner, "allauth.account.auth_backends.AuthenticationBackend")
    for path in web.paths(web.STAFF_PAGES, alice.user.pk).values():
        assert client.get(path).status_code == 200, path


def test_the_tables_say_what_was_measured() -> None:
    table = web.pages_table(
        {"overview": [3.0, 1.0, 2.0], "usage": [4.0]}, {"overview": browser.Seen(12.4, 0.001)}
    )
    assert "| overview | 2 · 3 | 12 | 0.001 |" in table
    assert "| usage | 4 · 4 |  | |" in table

    def result(rate: float, cpu: float) -> Any:
        return SimpleNamespace(rate=rate, cpu=(cpu,), requests=1_000)

    line = web.watch_line([result(1_000, 0.3)], [result(960, 0.31)], 7, 500)
    assert "1,000 requests/s without, 960 with them, **4.0 % less**" in line
    assert "300 and 310 µs" in line and "5 watch the account" in line
