"""What an owner does with keys of their own. Always true: whatever changes binds on every node
with the account's next request, and is in the audit log, without the secret."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from accounts.models import User
from accounts.people import terms
from billing.books import audit
from gateway.vendors import vault
from gateway.vendors.models import Auth, Provider
from gateway.vendors.own_keys import parts, problems
from gateway.vendors.own_keys.models import OwnKey
from gateway.vendors.own_keys.parts import Entered
from hontoni.errors import Conflict, NotFound
from ratelimits.throttle import Throttle

Parts = Mapping[str, str]


class TriesByAccount(Throttle):
    """Keys entered and tested: nobody tries out stolen ones by the thousand here."""

    scope, limit, seconds = "own-keys", 20, 600

    def identify(self, request: Any) -> str | None:
        return str(request.user.pk)


def offered() -> QuerySet[Provider]:
    """Where customers may bring a key of their own."""
    found = Provider.objects.filter(own_keys=True, active=True)
    return found.exclude(auth__in=(Auth.ENTRA, Auth.NONE)).order_by("name")


def of(user: User) -> QuerySet[OwnKey]:
    return OwnKey.objects.filter(user=user).select_related("provider")


@transaction.atomic
def add(
    user: User, provider_name: str, secret: str | Parts, *, falls_back: bool = False
) -> OwnKey:
    """Use this key (a line, or its parts) for the account's requests to that provider. Raises
    BadRequest, NotFound, and Conflict where it has one there."""
    provider = Provider.objects.filter(name=provider_name, own_keys=True, active=True).first()
    if provider is None or provider.auth == Auth.NONE:
        raise NotFound("Own keys are not offered for that provider.", param="provider")
    entered = parts.sound(provider, _parts(secret))
    User.objects.select_for_update().get(pk=user.pk)
    if OwnKey.objects.filter(user=user, provider=provider).exists():
        raise Conflict(
            "You have a key at that provider: replace or remove it.", code="own_key_exists"
        )
    made = OwnKey.objects.create(
        user=user, provider=provider, falls_back=falls_back, **_sealed(provider, entered)
    )
    _changed(made, "add own key", {}, _facts(made))
    return made


@transaction.atomic
def change(
    row: OwnKey,
    *,
    secret: str | Parts | None = None,
    active: bool | None = None,
    falls_back: bool | None = None,
) -> OwnKey:
    """Replace the secret, switch it on or off, choose the way back to ours. What is None stays.
    Raises BadRequest, and Conflict for one that must be entered again."""
    before = _facts(row)
    if secret:
        fields = _sealed(row.provider, parts.sound(row.provider, _parts(secret)))
        fields |= {"refused_at": None, "refusal": "", "tested_at": None, "active": True}
        _set(row, fields | {"version": row.version + 1})
    if active and not row.is_at_home:
        raise Conflict(
            "Its provider has moved since it was entered: enter it again.", code="own_key_moved"
        )
    chosen = {"active": active, "falls_back": falls_back}
    _set(row, {name: value for name, value in chosen.items() if value is not None})
    row.save()
    _changed(row, "change own key", before, _facts(row) | ({"replaced": True} if secret else {}))
    return row


@transaction.atomic
def remove(row: OwnKey) -> None:
    """Forget it for good."""
    before = _facts(row)
    _changed(row, "remove own key", before, {})
    row.delete()


@transaction.atomic
def tested(row: OwnKey, problem: str, moment: Any) -> None:
    """Note what came of a test. One that works again is asked again at once."""
    fields: dict[str, Any] = {"tested_at": moment, "refusal": problem[:300]}
    if problem:
        fields["refused_at"] = moment
    else:
        fields |= {"refused_at": None, "version": F("version") + 1}
    OwnKey.objects.filter(pk=row.pk).update(**fields)
    _changed(row, "test own key", {}, {"provider": row.provider.name, "problem": problem[:300]})
    row.refresh_from_db()


def forget_all(account: int, moment: Any = None) -> None:
    """The account has ended."""
    OwnKey.objects.filter(user=account).delete()


@transaction.atomic
def moved(provider: Provider) -> int:
    """Its address is another one: no customer's key is sent there. How many that stops."""
    away = OwnKey.objects.filter(provider=provider, active=True).exclude(entered_for=provider.home)
    users = list(away.values_list("user_id", flat=True))
    away.update(active=False, refusal=problems.MOVED)
    if users:
        terms.changed(*users)
    return len(users)


def _parts(secret: str | Parts) -> Parts:
    return {"secret": secret} if isinstance(secret, str) else secret


def _sealed(provider: Provider, entered: Entered) -> dict[str, Any]:
    return {
        "sealed": vault.seal(entered.text),
        "prefix": entered.shown,
        "entered_for": provider.home,
    }


def _set(row: OwnKey, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(row, name, value)


def _facts(row: OwnKey) -> dict[str, Any]:
    return {
        "provider": row.provider.name,
        "prefix": row.prefix,
        "active": row.active,
        "falls_back": row.falls_back,
    }


def _changed(
    row: OwnKey, action: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    terms.changed(row.user_id)
    audit.record(
        actor=f"user:{row.user_id}",
        action=action,
        subject=f"own_key:{row.pk}",
        before=before,
        after=after,
    )
