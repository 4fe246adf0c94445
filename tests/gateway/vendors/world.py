"""What the product has with the vendors, and how it is seen to use it."""

from typing import Any

from billing.plans import terms
from billing.plans.models import Plan
from gateway.catalogue import snapshot
from gateway.vendors import vault
from gateway.vendors.models import Credential, Provider
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
