"""Providers ready to be switched on, by staff who type no JSON; and what the doctor finds."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from pytest_django import Settings

from gateway.catalogue import snapshot
from gateway.vendors import presets, probing, vault
from gateway.vendors.manners import Manners
from gateway.vendors.models import Credential, Offering, Provider
from gateway.vendors.presets import PRESETS
from tests.gateway.plane.test_translation import ask, said
from tests.gateway.vendors.test_clouds import access_key, application, service_account
from tests.gateway.vendors.test_credentials import staff as staff
from tests.gateway.vendors.world import keyed, provider, sold
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

pytestmark = pytest.mark.any_database

FIELD = re.compile(r'name="([^"]+)"[^>]*value="([^"]*)"|value="([^"]*)"[^>]*name="([^"]+)"')


def filled(browser: Browser, url: str) -> dict[str, Any]:
    """A form as its page has it, ready to be sent."""
    page = browser.get(url)
    assert page.status_code == 200
    form = page.context["adminform"].form
    body: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if isinstance(value, bool):
            body |= {field.html_name: "on"} if value else {}
        else:
            body[field.html_name] = "" if value is None else value
    for inline in page.context["inline_admin_formsets"]:
        for field in inline.formset.management_form:
            body[field.html_name] = field.value()
    return body


def offering(model: str, upstream_id: str) -> dict[str, Any]:
    """The first row of what a provider has."""
    names = {"id": "", "model": model, "upstream_id": upstream_id, "dialect": ""}
    return {"offerings-TOTAL_FORMS": 1} | {f"offerings-0-{k}": v for k, v in names.items()}


def test_what_is_known_is_seeded_inactive_and_without_a_key(staff: Browser) -> None:
    presets.seed()
    presets.seed()  # repeating it is harmless
    rows = {row.name: row for row in Provider.objects.all()}
    assert set(rows) == {preset.name for preset in PRESETS}
    for row in rows.values():
        row.full_clean(exclude=["name"])
        assert not row.active and not row.credentials.exists()
    assert snapshot.load().models["gpt-4o"].pool.environment  # nobody is asked otherwise


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("deepseek", "/v1/chat/completions"),
        ("qwen", "/v1/chat/completions"),
        ("glm", "/chat/completions"),
        ("groq", "/v1/chat/completions"),
        ("glm-claude", "/v1/messages"),
        ("azure", "/openai/v1/chat/completions"),
        ("azure-deployments",
         "/openai/deployments/m/chat/completions?api-version=2025-04-01-preview"),
        ("bedrock", "/model/m/converse-stream"),
        ("vertex", "/v1/projects/your-project/locations/global/publishers/google/models/m:"
         "streamGenerateContent?alt=sse"),
    ],
)  # fmt: skip
def test_where_each_is_asked(name: str, path: str) -> None:
    """Behind the path of its address: https://api.z.ai/api/paas/v4/chat/completions."""
    made = presets.BY_NAME[name].provider()
    dialect = made.spoken[0]
    assert made.manners(dialect).path(dialect, "m", streams=True) == path


@pytest.mark.parametrize("address", ["https://x.example/v1beta/openai", "https://x.example/api"])
def test_an_address_that_is_complete_is_left_alone(address: str) -> None:
    given: dict[str, Any] = {"hosting": "", "base_url": address, "dialect": "openai_chat"}
    bare = Manners.of(**given, quirks={"bare": True})
    assert bare.path("openai_chat", "m", streams=False) == "/chat/completions"


def test_staff_add_a_host_from_its_preset_and_type_no_json(
    gateway: Gateway, alice: Person, vendors: Vendors, staff: Browser, settings: Settings
) -> None:
    fund(alice, "10")
    settings.SANDBOX = True  # else staff need a second factor
    model = sold("deepseek-v4-pro", "deepseek")
    body = filled(staff, "/admin/gateway/provider/add/?preset=deepseek")
    assert body["without"] == "store, safety_identifier"
    assert body["renames"] == "max_completion_tokens=max_tokens"
    body |= {"base_url": f"{vendors.url}/hosts/deepseek"}
    assert staff.post("/admin/gateway/provider/add/", body).status_code == 302
    made = Provider.objects.get()
    assert made.active and made.quirks == presets.BY_NAME["deepseek"].quirks
    page = staff.get(f"/admin/gateway/provider/{made.pk}/change/").content.decode()
    assert f"/admin/gateway/credential/add/?provider={made.pk}" in page
    url = f"/admin/gateway/credential/add/?provider={made.pk}"
    body = filled(staff, url) | {"label": "main", "secret": vendors.key}
    assert staff.post(url, body).status_code == 302
    answer = ask(gateway, alice, "openai_chat", model.id, "[[say: Hanoi]]", max_tokens=50)
    assert answer.status_code == 200 and said("openai_chat", answer.json()) == "Hanoi"
    url = f"/admin/gateway/provider/{made.pk}/change/"
    assert staff.post(url, filled(staff, url)).status_code == 302  # saved as it was shown
    assert Provider.objects.get().quirks == made.quirks


PARTS = {
    "bedrock": {"key_id": "AKIASANDBOX", "secret": "KEY"},
    "azure-entra": {"tenant": "t", "key_id": "app", "secret": "KEY", "authority": "URL"},
    "vertex": {"service_account": "FILE"},
    "vllm": {},
    "azure": {"secret": "KEY"},
}


@pytest.mark.parametrize("preset", PARTS)
def test_a_credential_is_entered_in_the_parts_its_scheme_has(
    staff: Browser, vendors: Vendors, preset: str
) -> None:
    changes = {"project": "sandbox"} if preset == "vertex" else {}
    made = provider(preset, f"{vendors.url}{'/hosts/vllm/v1' * (preset == 'vllm')}", **changes)
    url = f"/admin/gateway/credential/add/?provider={made.pk}"
    shown = staff.get(url).content.decode()
    for part in ("secret", "key_id", "tenant", "authority", "service_account"):
        assert (f'name="{part}"' in shown) == (part in PARTS[preset]), part
    body = filled(staff, url) | {"label": "main"}
    wanting = staff.post(url, body)
    assert wanting.status_code == (302 if preset == "vllm" else 200)
    text = service_account(vendors)
    words = {"KEY": vendors.key, "URL": vendors.url}
    body |= {name: words.get(value, value) for name, value in PARTS[preset].items()}
    if "service_account" in body:
        body["service_account"] = SimpleUploadedFile("key.json", text.encode())
    if preset != "vllm":
        assert staff.post(url, body).status_code == 302
    kept = Credential.objects.select_related("provider").get()
    assert vendors.key not in kept.sealed and kept.entered_for == made.home
    expected = {
        "bedrock": access_key(vendors),
        "vertex": text,
        "vllm": "",
        "azure": vendors.key,
    }
    if preset in expected:
        assert vault.unseal(kept.sealed) == expected[preset]
    page = staff.get(f"/admin/gateway/credential/{kept.pk}/change/").content.decode()
    assert vendors.key not in page and "PRIVATE KEY" not in page
    url = f"/admin/gateway/credential/{kept.pk}/change/"
    assert staff.post(url, filled(staff, url) | {"weight": 3}).status_code == 302
    again = Credential.objects.get()
    assert (again.sealed, again.weight) == (kept.sealed, 3)
    assert probing.credential(kept).good


@pytest.mark.parametrize(
    ("preset", "entered"),
    [
        ("bedrock", {"secret": "only-a-secret"}),
        ("bedrock", {"key_id": "only-an-id"}),
        ("azure-entra", {"tenant": "t", "secret": "s"}),
        ("azure-entra", {"tenant": "t", "key_id": "a", "secret": "s",
                         "authority": "http://evil.example"}),
        ("vertex", {"secret": "typed"}),
        ("vertex", {"service_account": b'{"type": "external_account"}'}),
    ],
)  # fmt: skip
def test_half_a_credential_is_refused(
    staff: Browser, vendors: Vendors, preset: str, entered: dict[str, Any]
) -> None:
    made = provider(preset, vendors.url)
    url = f"/admin/gateway/credential/add/?provider={made.pk}"
    body = filled(staff, url) | {"label": "main"} | entered
    if isinstance(file := entered.get("service_account"), bytes):
        body["service_account"] = SimpleUploadedFile("key.json", file)
    assert staff.post(url, body).status_code == 200
    assert not Credential.objects.exists()


def test_what_signs_is_never_sent_as_a_key(staff: Browser, vendors: Vendors) -> None:
    """Whoever changes how a provider's key is shown does not get what was entered to sign with."""
    made = provider("bedrock", vendors.url)
    kept = keyed(made, access_key(vendors))
    url = f"/admin/gateway/provider/{made.pk}/change/"
    assert staff.post(url, filled(staff, url) | {"auth": "bearer"}).status_code == 302
    kept.refresh_from_db()
    assert not kept.active and not kept.is_at_home


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosting": "azure", "api_version": ""},
        {"hosting": "bedrock", "region": ""},
        {"hosting": "vertex", "region": "global", "project": ""},
        {"hosting": "bedrock", "region": "us-east-1", "dialect": "gemini"},
        {"auth": "sigv4"},
        {"without": "max_tokens"},
        {"renames": "messages=other"},
        {"renames": "no pair"},
    ],
)
def test_a_provider_that_could_not_be_asked_is_refused(
    staff: Browser, wrong: dict[str, Any]
) -> None:
    body = filled(staff, "/admin/gateway/provider/add/?preset=openai-compatible")
    assert staff.post("/admin/gateway/provider/add/", body | wrong).status_code == 200
    assert not Provider.objects.exists()


def test_the_doctor_tries_every_credential(
    staff: Browser, vendors: Vendors, settings: Settings
) -> None:
    from operations.doctor import outside

    settings.SANDBOX = False
    settings.OPENAI_API_KEY = settings.ANTHROPIC_API_KEY = settings.GEMINI_API_KEY = ""
    for preset, secret in (
        ("bedrock", access_key(vendors)),
        ("azure-entra", application(vendors)),
        ("vertex", service_account(vendors)),
    ):
        keyed(provider(preset, vendors.url, project="sandbox"), secret)
    assert all(found.level == "ok" for found in outside.vendors()), [*outside.vendors()]
    Credential.objects.update(sealed=vault.seal(access_key(vendors, secret_access_key="wrong")))
    told = {str(found.text) for found in outside.vendors()}
    assert "bedrock/main says 403" in told
    assert any(text.startswith("vertex/main cannot be used") for text in told)
    settings.SANDBOX = True  # else staff need a second factor
    ids = list(Credential.objects.values_list("pk", flat=True))
    body = {"action": "try_them", "_selected_action": ids}
    page = staff.post("/admin/gateway/credential/", body, follow=True).content.decode()
    assert "bedrock/main says 403" in page


def test_a_cloud_with_some_models_leaves_the_others_to_the_environments_key(
    gateway: Gateway, alice: Person, vendors: Vendors
) -> None:
    fund(alice, "10")
    made = provider("azure", vendors.url)
    keyed(made, vendors.key)
    Offering.objects.create(provider=made, model_id="gpt-4o", upstream_id="our-gpt-4o")
    snapshot.forget()
    for model, path in (("gpt-4o", "/openai/v1/chat"), ("gpt-4.1", "/v1/chat")):
        assert gateway.chat(alice, model=model).status_code == 200
        assert vendors.last.path.startswith(path)
