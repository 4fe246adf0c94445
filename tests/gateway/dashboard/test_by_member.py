"""Usage and refusals of one member: on the page, in downloads, and on /api."""

import asyncio
import csv
import io
from typing import Any

import pytest

from accounts.models import Membership
from accounts.sign_in import mail_adapter
from accounts.teams import memberships
from billing.plans.models import Plan
from gateway.archive.archived_log import Narrowing
from gateway.usage import refusals
from tests.accounts.teams.world import Member, joined, team_of
from tests.gateway.plane.test_limits import limit
from tests.gateway_server import Gateway, fund
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database


def rows(answer: Any) -> list[dict[str, str]]:
    async def whole() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return list(csv.DictReader(io.StringIO(asyncio.run(whole()).decode())))


@pytest.fixture(autouse=True)
def _mails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_adapter.send_mail, "delay", mail_adapter.send_mail)


@pytest.fixture
def team(gateway: Gateway, alice: Person) -> Member:
    team = team_of(fund(alice, "10"))
    limit(alice, **dict.fromkeys(Plan.LIMITS, 1_000))
    return team


def test_the_archive_is_narrowed_alike() -> None:
    of = Narrowing(1, {"api_key_id__in": [1, 2], "model": "gpt-4o"})
    row = {"status": 200, "api_key_id": 2, "model": "gpt-4o"}
    assert of.has(row) and not of.has(row | {"api_key_id": 3}) and not of.has(row | {"model": "x"})


def test_what_is_narrowed_to_a_member_is_theirs_alone(
    gateway: Gateway, team: Member, carol: Person
) -> None:
    bob, dave = joined(team, "bob", "developer"), joined(team, "dave", "developer")
    ended, second, other = bob.key("ended"), bob.key("second"), dave.key()
    for key in (ended, second, other, team.key()):
        assert gateway.chat(key).status_code == 200
    gateway.books()
    memberships.change(team.now(), bob.now(), lifetime_cap=1)
    memberships.change(team.now(), dave.now(), allowed_models=["gpt-5.2"])
    assert gateway.chat(second).status_code == 402
    assert gateway.chat(other).status_code == 403
    until(refusals.drain)
    ended.key.revoked_at = ended.key.created_at
    ended.key.save()
    api, page, pk = team.api(), team.browser(), bob.place.pk
    mine = {ended.key.pk, second.key.pk}
    found = api.get("/api/usage", {"member": pk}).json()["results"]
    assert {each["key_id"] for each in found} == mine and len(found) == 2
    both = {"member": pk, "key": other.key.pk}
    assert api.get("/api/usage", both).json()["results"] == []
    refused = api.get("/api/usage/refusals", {"member": pk}).json()["results"]
    assert [each["code"] for each in refused] == ["member_cap_lifetime"]
    for path in ("/usage.csv", "/usage/hours.csv"):
        table = rows(page.get(path, {"member": pk}))
        assert len(table) == 2 and {each["member"] for each in table} == {"bob@example.com"}
        assert len(rows(page.get(path))) == 4
    shown = page.get("/usage", {"member": pk}).content.decode()
    assert f"/usage/refusals?member={pk}" in shown
    assert "model_not_allowed" not in page.get("/usage/refusals", {"member": pk}).content.decode()
    saved = page.post("/usage/views", {"name": "bob", "query": f"member={pk}"})
    assert f"member={pk}" in saved["Location"]
    elsewhere = Membership.objects.create(account=carol.user, person=dave.person, role="viewer")
    for nobody in (elsewhere.pk, 2**40):
        assert api.get("/api/usage", {"member": nobody}).json()["results"] == []
        assert rows(page.get("/usage.csv", {"member": nobody})) == []
    assert page.get("/usage", {"member": "x"}).status_code == 404
    assert api.get("/api/usage", {"member": "x"}).status_code == 400
