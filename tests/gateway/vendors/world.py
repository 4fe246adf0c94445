"""What the product has with the vendors, and how it is seen to use it."""

from datetime import UTC, datetime
from typing import Any

from billing.plans import terms
from billing.plans.models import Plan
from gateway.catalogue import snapshot
from gateway.catalogue.models import Model, Price
from gateway.vendors import vault
from gateway.vendors.models import Credential, Provider
from gateway.vendors.presets import BY_NAME
from hontoni.money import nanos
from sandbox.vendors.recorder import hashed
from tests.vendors import Vendors


def credential(at: Vendors, name: str, vendor: str = "openai", **fields: Any) -> Credential:
    """The product's key there; it binds with the next request."""
    provider, _ = Provider.objects.get_or_create(
        name=name, defaults={"vendor": vendor, "base_url": at.url}
    )
    sealed = vault.seal(fields.pop("secret", at.key))
    fields.setdefault("label", "main")
    made = Credential.objects.create(provider=provider, sealed=sealed, **fields)
    snapshot.forget()
    return made


def unlimited() -> None:
    """Nobody's plan limits how many requests there are."""
    plan = Plan.objects.get(is_default=True)
    Plan.objects.update(**dict.fromkeys(Plan.LIMITS, 1000))
    terms.apply_plan(plan)


def was_asked_with_its_key(at: Vendors) -> bool:
    return at.last.headers["authorization"] == hashed(f"Bearer {at.key}")


def tried(details: dict[str, Any]) -> list[tuple[str, int | None, str]]:
    """The attempts of a receipt: credential, the vendor's status, the error."""
    attempts = details["attempts"]
    assert all(isinstance(told["ms"], int) and told["ms"] >= 0 for told in attempts)
    return [(told["credential"], told["status"], told.get("error", "")) for told in attempts]


def provider(preset: str, base_url: str, **fields: Any) -> Provider:
    """A provider as its preset has it, at another address and switched on."""
    made = BY_NAME[preset].provider()
    made.base_url, made.active = base_url, True
    for name, value in fields.items():
        setattr(made, name, value)
    made.full_clean()
    made.save()
    return made


def keyed(provider: Provider, secret: str, **fields: Any) -> Credential:
    """Its credential; it binds with the next request."""
    fields.setdefault("label", "main")
    made = Credential.objects.create(
        provider=provider, sealed=vault.seal(secret), entered_for=provider.home, **fields
    )
    snapshot.forget()
    return made


def sold(id: str, vendor: str, dialect: str = "openai_chat", **fields: Any) -> Model:
    """A model that staff have added: a dollar a million tokens in, two out, a tenth from the
    cache."""
    made = Model.objects.create(
        id=id, name=id, vendor=vendor, dialect=dialect, upstream_id=fields.pop("upstream_id", id),
        context_window=128_000, max_output=16_000, capabilities=["tools", "reasoning"], **fields,
    )  # fmt: skip
    dollar = nanos("1")
    Price.objects.create(
        model=made, effective_at=datetime(2020, 1, 1, tzinfo=UTC), input=dollar,
        cache_read=dollar // 10, cache_write_5m=dollar, cache_write_1h=dollar,
        output=2 * dollar, reasoning=2 * dollar,
    )  # fmt: skip
    snapshot.forget()
    return made
