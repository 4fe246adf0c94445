"""Batches on their owner's page, and before staff."""

import asyncio
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from billing.books.models import AuditEntry
from gateway.batches.models import Batch
from gateway.dashboard.roles import seed as seed_roles
from tests.gateway.batches.world import create, ended, line, over, row
from tests.gateway_server import Gateway, fund, nobody_runs_batches
from tests.world import PASSWORD, Person

pytestmark = pytest.mark.any_database


def test_its_owner_sees_how_far_it_is_and_gets_the_results(
    gateway: Gateway, alice: Person, bob: Person, client: Client
) -> None:
    fund(alice, "10")
    lines = [line("a", "[[say: <b>Aha</b>]]"), line("b", messages="none")]
    made = create(gateway, alice, *lines)
    ended(gateway, alice, made.id)
    client.force_login(alice.user)
    page = client.get("/usage/batches").content.decode()
    assert made.id in page and "2 of 2, 1 with an error" in page and "completed" in page
    answer = client.get(f"/usage/batches/{made.id}/results")
    found = asyncio.run(_joined(answer)).decode()
    assert len(found.splitlines()) == 2 and "Aha" in found
    client.force_login(bob.user)
    assert made.id not in client.get("/usage/batches").content.decode()
    assert client.get(f"/usage/batches/{made.id}/results").status_code == 404
    assert client.post(f"/usage/batches/{made.id}/cancel").status_code == 404


async def _joined(answer: Any) -> bytes:
    return b"".join([part async for part in answer.streaming_content])


def test_its_owner_cancels_it_on_the_page(gateway: Gateway, alice: Person, client: Client) -> None:
    fund(alice, "10")
    client.force_login(alice.user)
    with nobody_runs_batches():
        made = create(gateway, alice, line("a"))
        assert "Cancel" in client.get("/usage/batches").content.decode()
        client.post(f"/usage/batches/{made.id}/cancel")
        assert row(made.id).status == "cancelling"
    over(made.id)
    assert row(made.id).status == "cancelled" and gateway.books() == []


def support() -> Client:
    seed_roles()
    user = User.objects.create_user("support@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="support"))
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    client = Client()
    client.force_login(user)
    return client


def test_staff_see_all_and_cancel_one(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    admin_client = support()
    with nobody_runs_batches():
        made = create(gateway, alice, line("a", "a secret"))
        listed = admin_client.get("/admin/gateway/batch/").content.decode()
        assert made.id in listed and "0 / 1" in listed
        one = admin_client.get(f"/admin/gateway/batch/{made.id}/change/").content.decode()
        assert "alice@example.com" in one and "a secret" not in one
        wrong = {"code": "invalid_json", "message": "It is <not> JSON.", "param": None, "line": 3}
        Batch.objects.filter(pk=made.id).update(errors=[wrong, wrong | {"line": None}])
        admin_client.cookies["django_language"] = "vi"
        one = admin_client.get(f"/admin/gateway/batch/{made.id}/change/").content.decode()
        shown = '<code>invalid_json</code></a> <span lang="en">It is &lt;not&gt; JSON.</span>'
        assert "Dòng 3: <a" in one and one.count(shown) == 2 and "&#x27;line&#x27;" not in one
        chosen = {"action": "cancel", "_selected_action": [made.id]}
        admin_client.post("/admin/gateway/batch/", chosen)
    over(made.id)
    assert row(made.id).status == "cancelled"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.subject) == ("cancel", f"batch:{made.id}")
