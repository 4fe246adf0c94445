"""A customer's own key at a cloud: entered in its parts, and sent nowhere but to that cloud."""

from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from gateway.catalogue import snapshot
from gateway.vendors import vault
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import access, keeping, parts
from gateway.vendors.own_keys.models import OwnKey
from tests.gateway.plane.test_translation import PATHS, ask
from tests.gateway.vendors import test_clouds as clouds
from tests.gateway.vendors.own_keys import SECRET, charge
from tests.gateway.vendors.world import provider, unlimited
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person


@pytest.fixture(autouse=True)
def known(first: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first.sandbox, "keys", {SECRET})
    monkeypatch.setattr(first.sandbox.identities, "keys", {SECRET})


def open_to_all(made: Provider) -> Provider:
    Provider.objects.filter(pk=made.pk).update(own_keys=True)
    snapshot.forget()
    return made


def bedrock(at: Vendors) -> tuple[str, dict[str, str]]:
    made = open_to_all(provider("bedrock", at.url))
    clouds.offered(made, "claude-opus-4.6", "us.anthropic.claude-opus-4-6-v1:0")
    key = {"access_key_id": "AKIASANDBOX", "secret_access_key": SECRET}
    return "claude-opus-4.6", key


def bedrock_key(at: Vendors) -> tuple[str, dict[str, str]]:
    made = open_to_all(provider("bedrock-key", at.url))
    clouds.offered(made, "claude-opus-4.6", "us.anthropic.claude-opus-4-6-v1:0")
    return "claude-opus-4.6", {"secret": SECRET}


def vertex(at: Vendors) -> tuple[str, dict[str, str]]:
    """Ours has a project of its own; hers is in her file."""
    open_to_all(provider("vertex", at.url, project="ours-here"))
    file = clouds.service_account(at, project_id="sandbox")
    return "gemini-3-flash-preview", {"service_account": file}


def azure(at: Vendors) -> tuple[str, dict[str, str]]:
    made = open_to_all(provider("azure", at.url))
    clouds.offered(made, "gpt-4.1", "our-gpt-4.1")
    return "gpt-4.1", {"resource": "alices-place", "secret": SECRET}


@pytest.mark.parametrize("cloud", [bedrock, bedrock_key, vertex, azure])
def test_her_own_account_at_a_cloud_answers_every_dialect_at_the_fee(
    gateway: Gateway, alice: Person, first: Vendors, cloud: Any
) -> None:
    model, key = cloud(first)
    charge("1", "0.001")
    fund(alice, "1")
    unlimited()
    client, name = alice.client(), Provider.objects.get(own_keys=True).name
    (offer,) = client.get("/api/own-keys").json()["offered"]
    assert set(key) <= set(offer["parts"])
    made = client.post("/api/own-keys", {"provider": name, **key}, format="json")
    assert made.status_code == 201, made.content
    assert not any(value in made.content.decode() for value in key.values())
    at = f"/api/own-keys/{made.json()['id']}"
    assert client.post(f"{at}/test").json() == {"works": True, "problem": ""}
    for dialect in PATHS:
        answer = ask(gateway, alice, dialect, model, "hi", stream=dialect == "openai_chat")
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-hontoni-own-key"] == name
    assert gateway.vendors.requests == []
    for event in gateway.books():
        tokens = (sum(event.usage) * 10**9 + 500_000) // 10**6
        assert event.cost == tokens + 10**6 <= event.hold
    if cloud is vertex:
        assert all(
            "/projects/sandbox/" in each.path for each in first.requests if "projects" in each.path
        )


@pytest.mark.parametrize(
    ("cloud", "vietnamese"),
    [(bedrock, "bedrock trả lời 403."), (vertex, "vertex không lấy được token từ nơi cấp.")],
)
def test_a_cloud_that_refuses_it_is_told_and_nothing_is_charged(
    gateway: Gateway,
    alice: Person,
    first: Vendors,
    cloud: Any,
    vietnamese: str,
    client: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, key = cloud(first)
    charge()
    fund(alice, "1")
    made = keeping.add(alice.user, Provider.objects.get(own_keys=True).name, key)
    monkeypatch.setattr(first.sandbox.identities, "keys", set())
    first.sandbox.identities.accounts.clear()
    answer = gateway.chat(alice, model=model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_key_refused")
    assert gateway.books()[-1].cost == 0 and gateway.vendors.requests == []
    tested = alice.client().post(f"/api/own-keys/{made.pk}/test").json()
    assert not tested["works"] and tested["problem"].isascii()
    client.force_login(alice.user)
    client.cookies["django_language"] = "vi"
    page = client.post(f"/own-keys/{made.pk}/test", follow=True).content.decode()
    assert page.count(vietnamese) == 2  # what came of it, and beside the key from now on
    assert tested["problem"] not in page


def test_what_would_send_a_secret_elsewhere_is_refused(
    gateway: Gateway, alice: Person, first: Vendors
) -> None:
    """A file with an issuer of somebody's own, an address for a name, parts of another kind."""
    vertex(first)
    azure(first)
    charge()
    file = orjson.loads(clouds.service_account(first, project_id="sandbox"))
    client = alice.client()
    for name, key, why in (
        ("vertex", {"service_account": orjson.dumps(file | {"token_uri": "https://10.0.0.1/t"})},
         "token_uri"),
        ("vertex", {"service_account": orjson.dumps(file | {"project_id": "../x"})}, "project_id"),
        ("vertex", {"service_account": b"{}"}, "JSON file"),
        ("vertex", {"secret": "sk-0123456789012345"}, "has no secret"),
        ("azure", {"secret": "sk-0123456789012345"}, "needs its resource"),
        ("azure", {"resource": "evil.example", "secret": "sk-0123456789012345"}, "no address"),
        ("azure", {"resource": "a/b?c", "secret": "sk-0123456789012345"}, "no address"),
    ):  # fmt: skip
        body = {n: v.decode() if isinstance(v, bytes) else v for n, v in key.items()}
        answer = client.post("/api/own-keys", {"provider": name, **body}, format="json")
        assert answer.status_code == 400 and why in answer.json()["error"]["message"]
    entra = open_to_all(provider("azure-entra", first.url))
    answer = client.post("/api/own-keys", {"provider": entra.name, "secret": "x"}, format="json")
    assert answer.status_code == 400 and "Entra" in answer.json()["error"]["message"]
    assert not OwnKey.objects.exists() and first.requests == []


@pytest.mark.any_database
def test_a_resource_is_a_name_in_front_of_the_cloud_s_own_address(alice: Person, db: None) -> None:
    made = provider("azure", "https://your-resource.openai.azure.com", own_keys=True)
    entered = parts.sound(made, {"resource": "Alices-Place", "secret": "0123456789abcdef"})
    read = parts.read(made, entered.text, made.base_url)
    assert read == ("0123456789abcdef", "https://alices-place.openai.azure.com", "")
    row = OwnKey(
        pk=1,
        user=alice.user,
        provider=made,
        sealed=vault.seal(entered.text),
        entered_for=made.home,
    )
    assert access.introduced(row).origin.host == "alices-place.openai.azure.com"


def test_its_page_asks_for_the_parts_of_each_kind(
    gateway: Gateway, alice: Person, first: Vendors, client: Browser
) -> None:
    _, key = bedrock(first)
    azure(first)
    _, file = vertex(first)
    charge()
    client.force_login(alice.user)
    page = client.get("/own-keys").content.decode()
    for name in ("access_key_id", "resource", "service_account"):
        assert f'name="{name}"' in page
    missing = client.post("/own-keys", {"provider": "bedrock", "access_key_id": "A" * 20})
    assert not OwnKey.objects.exists() and missing.status_code == 200
    page = client.post("/own-keys", {"provider": "bedrock", **key}, follow=True).content.decode()
    assert "The vendor accepts it." in page and SECRET not in page
    client.post("/own-keys", {"provider": "vertex", **file})
    row = OwnKey.objects.get(provider__name="vertex")
    before = row.sealed
    client.post(f"/own-keys/{row.pk}", {"active": "on", "service_account": "{}"})
    row.refresh_from_db()
    assert row.sealed == before
    assert file["service_account"] not in client.get("/own-keys").content.decode()
