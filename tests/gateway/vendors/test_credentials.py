"""Credentials in the admin and at rest: written, replaced, resealed, never read."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from billing.books.models import AuditEntry
from gateway.catalogue import snapshot
from gateway.catalogue.seed import seed
from gateway.catalogue.sold import Model
from gateway.dashboard.roles import seed as seed_roles
from gateway.plane.upstream import Upstream
from gateway.vendors import routes, vault
from gateway.vendors.access import Access, introduce
from gateway.vendors.models import Credential, Offering, Provider
from tests.world import PASSWORD

SECRET = "sk-very-secret-0123456789"
NEW, OLD = "n" * 40, "o" * 40


@pytest.fixture
def staff(db: None) -> Client:
    """Whoever may keep the catalogue."""
    seed()
    seed_roles()
    user = User.objects.create_user("ops@example.com", PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="catalogue"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def provider(db: None) -> Provider:
    return Provider.objects.create(
        name="acme", vendor="openai", base_url="https://api.example.com/v1"
    )


def save(staff: Client, provider: Provider, pk: int | None = None, **fields: Any) -> Any:
    body = {"provider": provider.pk, "label": "main", "priority": 0, "weight": 1, "active": "on"}
    url = f"/admin/gateway/credential/{pk}/change/" if pk else "/admin/gateway/credential/add/"
    return staff.post(url, body | fields)


def test_a_secret_is_written_and_never_shown(staff: Client, provider: Provider) -> None:
    assert save(staff, provider, secret=SECRET).status_code == 302
    made = Credential.objects.get()
    assert vault.unseal(made.sealed) == SECRET and SECRET not in made.sealed
    for page in ("", f"{made.pk}/change/", f"{made.pk}/history/"):
        shown = staff.get(f"/admin/gateway/credential/{page}").content.decode()
        assert SECRET not in shown and made.sealed not in shown
    assert SECRET not in str(list(AuditEntry.objects.values()))
    assert [entry.action for entry in AuditEntry.objects.all()] == ["add"]


def test_a_secret_left_empty_stays_and_a_new_one_starts_afresh(
    staff: Client, provider: Provider
) -> None:
    save(staff, provider, secret=SECRET)
    made = Credential.objects.get()
    Credential.objects.update(refused_at=made.created_at, refusal="401")
    assert save(staff, provider, made.pk, secret="", weight=3).status_code == 302
    kept = Credential.objects.get()
    assert (kept.sealed, kept.weight, kept.refusal) == (made.sealed, 3, "401")
    assert save(staff, provider, made.pk, secret="sk-other").status_code == 302
    replaced = Credential.objects.get()
    assert vault.unseal(replaced.sealed) == "sk-other"
    assert (replaced.refused_at, replaced.refusal) == (None, "")


@pytest.mark.parametrize(
    "wrong",
    [{}, {"secret": "two words"}, {"secret": "sk-\r\nx-evil: 1"}, {"secret": "sk-ü"}]
    + [{"secret": SECRET, "weight": 0}, {"secret": SECRET, "label": "not a slug"}],
)
def test_a_credential_that_cannot_be_is_refused_and_not_echoed(
    staff: Client, provider: Provider, wrong: dict[str, Any]
) -> None:
    reply = save(staff, provider, **wrong)
    assert reply.status_code == 200 and SECRET not in reply.content.decode()
    assert Credential.objects.count() == 0


@pytest.mark.parametrize("address", ["api.example.com", "ftp://example.com", "https://", "x"])
def test_a_provider_has_an_http_address(staff: Client, address: str) -> None:
    inline = {"offerings-TOTAL_FORMS": 0, "offerings-INITIAL_FORMS": 0}
    body = {"name": "acme", "vendor": "openai", "base_url": address, "active": "on", **inline}
    assert staff.post("/admin/gateway/provider/add/", body).status_code == 200
    assert (
        staff.post(
            "/admin/gateway/provider/add/", body | {"base_url": "http://llm:8000"}
        ).status_code
        == 302
    )
    assert Provider.objects.get().base_url == "http://llm:8000"


def test_an_offering_is_in_a_dialect_its_provider_speaks(staff: Client) -> None:
    offering = {"offerings-TOTAL_FORMS": 1, "offerings-INITIAL_FORMS": 0} | {
        "offerings-0-model": "claude-sonnet-4.5",
        "offerings-0-upstream_id": "anthropic/claude-sonnet-4.5",
    }
    body = {"name": "acme", "vendor": "openai", "base_url": "https://x.example", **offering}
    for dialect, status in (("anthropic_messages", 200), ("openai_responses", 302)):
        asked = body | {"offerings-0-dialect": dialect}
        assert staff.post("/admin/gateway/provider/add/", asked).status_code == status
    assert Offering.objects.get().dialect == "openai_responses"


def test_support_and_finance_do_not_see_them(staff: Client, provider: Provider) -> None:
    for role in ("support", "finance"):
        user = User.objects.create_user(f"{role}@example.com", PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        other = Client()
        other.force_login(user)
        assert save(other, provider, secret=SECRET).status_code == 403
        assert other.get("/admin/gateway/credential/").status_code == 403


def test_the_key_is_rotated_without_a_gap(provider: Provider, settings: Settings) -> None:
    settings.CREDENTIAL_KEYS = [OLD]
    sealed = vault.seal(SECRET)
    made = Credential.objects.create(provider=provider, label="main", sealed=sealed)
    settings.CREDENTIAL_KEYS = [NEW, OLD]
    assert vault.unseal(made.sealed) == SECRET
    call_command("reseal", verbosity=0)
    settings.CREDENTIAL_KEYS = [NEW]
    made.refresh_from_db()
    assert vault.unseal(made.sealed) == SECRET and made.sealed != sealed
    settings.CREDENTIAL_KEYS = [OLD]
    with pytest.raises(vault.Unreadable):
        vault.unseal(made.sealed)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("reseal", verbosity=0)
    made.refresh_from_db()
    settings.CREDENTIAL_KEYS = [NEW]
    assert vault.unseal(made.sealed) == SECRET


def test_what_stays_the_same_is_opened_once(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps its breakers; what is changed does not."""
    opened: list[str] = []

    def unseal(sealed: str) -> str:
        opened.append(sealed)
        return "sk"

    monkeypatch.setattr(vault, "unseal", unseal)
    made = Credential.objects.create(provider=provider, label="main", sealed="one")
    models = [("gpt-4o", "openai", "openai_chat"), ("claude", "anthropic", "anthropic_messages")]
    (route,) = routes.load(models)["gpt-4o"].routes
    (again,) = routes.load(models)["gpt-4o"].routes
    assert route.breaker is again.breaker and opened == ["one"]
    assert "claude" not in routes.load(models)  # the environment's pool
    Credential.objects.filter(pk=made.pk).update(sealed="two")
    (changed,) = routes.load(models)["gpt-4o"].routes
    assert changed.breaker is not route.breaker and opened == ["one", "two"]


def test_in_the_sandbox_nobody_else_is_asked(staff: Client, provider: Provider) -> None:
    save(staff, provider, secret=SECRET)
    model = snapshot.load().models["gpt-4o"]
    assert [route.access.label for route in model.pool.routes] == ["acme/main"]
    own = {"openai": introduce("sandbox", "openai", "http://x", "k")}
    assert asyncio.run(_asked(own, model, alone=True)) == ["sandbox"]
    assert asyncio.run(_asked(own, model, alone=False)) == ["acme/main"]
    page = staff.get("/admin/gateway/credential/").content.decode()
    assert "SANDBOX=false" in page


async def _asked(own: dict[str, Access], model: Model, *, alone: bool) -> list[str]:
    upstream = Upstream(own, alone=alone)
    try:
        return [route.access.label for route in upstream.routes(model)]
    finally:
        await upstream.close()
