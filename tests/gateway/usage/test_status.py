"""What everybody may see of the models: how many requests were answered, and how soon."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from gateway.catalogue.seed import seed
from gateway.usage.request_ids import first_id
from tests.world import Person, used

MODEL = "gpt-4o"


def row(client: Client) -> list[str]:
    """The model's cells: a day's success and first token, then a week's."""
    cache.clear()  # it is kept for a minute
    page = client.get("/status").content.decode()
    found = re.search(rf"<code>{MODEL}</code>.*?</th>(.*?)</tr>", page, re.DOTALL)
    assert found
    cells = re.findall(r"<td[^>]*>(.*?)</td>", found[1])[1:]
    return [re.sub(r"<[^>]*>", "", cell) for cell in cells]


@pytest.mark.usefixtures("db")
def test_what_nobody_asked_for_says_so(client: Client) -> None:
    seed()
    assert row(client) == ["no requests", "–", "no requests", "–"]


def test_a_day_and_a_week_are_told_apart(client: Client, alice: Person) -> None:
    seed()
    for wait in (100, 300, 200):
        used(alice, model=MODEL, stream=True, first_byte_ms=wait)
    used(alice, model=MODEL, status=429)  # the client's own doing
    assert row(client) == ["100.0 %", "200 ms", "100.0 %", "200 ms"]
    days_ago = (timezone.now() - timedelta(days=3)).timestamp()
    used(alice, model=MODEL, status=502, id=first_id(days_ago))
    assert row(client) == ["100.0 %", "200 ms", "80.0 %", "200 ms"]
