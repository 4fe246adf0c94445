"""API keys. The only place that sees a raw key.

* A key is `sk-gw-` and what shape.py says: garbage is refused before any I/O.
* What is stored is the HMAC-SHA-256 of the key with a pepper that is not in the database.
* A key is shown once, when it is made. A lost key is replaced, never recovered.
* An account never has more active keys than `User.key_cap`. A key being rotated and its
  successor count once: they share a slot, and so their limits and their restrictions.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.keys import shape, stopping
from accounts.keys.restrictions import FIELDS, Restrictions, check
from accounts.models import ApiKey, Membership, User
from accounts.people import terms
from hontoni import errors, rowsets

PREFIX = "sk-gw-"
MAX_OVERLAP = timedelta(days=30)
_UNRESTRICTED = Restrictions()


def well_formed(raw: str) -> bool:
    """Whether this could be a key of ours. No I/O, and no secret: anybody can compute it."""
    return shape.well_formed(raw, PREFIX)


def digest(raw: str) -> bytes:
    """What a well-formed key is stored, looked up and cached by: 32 bytes."""
    mac = _peppered(settings.KEY_PEPPER).copy()
    mac.update(raw.encode())
    return mac.digest()


@lru_cache(maxsize=1)
def _peppered(pepper: str) -> hmac.HMAC:
    """The pepper already hashed: every request digests a key."""
    return hmac.new(pepper.encode(), digestmod="sha256")


def find(digest: bytes) -> ApiKey | None:
    """The key with this digest, its user and its member, *whatever its state*: see `refusal`."""
    found = ApiKey.objects.select_related("user", "member__person")
    return found.filter(digest=digest).first()


def refusal(key: ApiKey, now: datetime) -> errors.ApiError | None:
    """Why this key may not be used, in words for its owner; None if it may."""
    if not key.user.is_active:
        return errors.Unauthenticated("This account is deactivated.")
    status = key.status(now)
    if status != "active":
        return errors.Unauthenticated(f"This API key is {status}.")
    if key.member is not None and not (
        key.member.ended_at is None and key.member.person.is_active
    ):
        return errors.Unauthenticated("The member whose API key this is has left the team.")
    if key.stopped_at is not None:
        return _stopped("This API key was", "its owner", key.stopped_at)
    if key.member is not None and key.member.stopped_at is not None:
        whose = "All keys of the member whose API key this is were"
        return _stopped(whose, "an owner or admin of the team", key.member.stopped_at)
    if key.user.frozen_at is not None:
        return errors.Forbidden(
            f"This account is frozen: {key.user.frozen_reason}", code="account_frozen"
        )
    return None


def _stopped(what: str, by: str, at: datetime) -> errors.Forbidden:
    return errors.Forbidden(
        f"{what} stopped on {at:%Y-%m-%d at %H:%M:%S} UTC by {by}. "
        "It works again once they start it; waiting alone does not help.",
        code="key_stopped",
        headers={"x-should-retry": "false"},
    )


def mint(
    user: User,
    name: str,
    expires_at: datetime | None = None,
    restrictions: Restrictions = _UNRESTRICTED,
    made_from: str | None = None,
    member: Membership | None = None,
) -> tuple[ApiKey, str]:
    """A new key, and the key in clear. `made_from` is the IP address of who asked, `member` whose
    it is in a team. Raises Forbidden at the account's cap and as `stopping.check_new`, and
    BadRequest as `restrictions.check`."""
    check(restrictions)
    with transaction.atomic():
        locked = _lock(user.pk)
        if member is not None:
            member = Membership.objects.filter(pk=member.pk, ended_at=None).first()
            if member is None:
                raise errors.Forbidden(
                    "You are no longer a member of this team.", code="not_a_member"
                )
        stopping.check_new(member)
        slot = _free_slot(locked, timezone.now())
        shared = restrictions.stored() | {"member": member}
        return _store(locked, name, slot, expires_at, made_from=made_from, **shared)


def change(key: ApiKey, **changes: Any) -> None:
    """Change a key's name, expiry or restrictions (columns of ApiKey) from the next request on.

    What it was rotated from or to is restricted alike. Raises Conflict where a key that has ended
    is given another end, and BadRequest as `restrictions.check`.
    """
    with transaction.atomic():
        _lock(key.user_id)
        key.refresh_from_db()
        now = timezone.now()
        if changes.get("expires_at", key.expires_at) != key.expires_at and (
            key.status(now) != "active"
        ):
            raise errors.Conflict(
                f"This key is {key.status(now)}: make a new one instead.", code="key_ended"
            )
        shared = {name: changes[name] for name in FIELDS if name in changes}
        check(Restrictions(**{name: getattr(key, name) for name in FIELDS} | shared))
        ApiKey.objects.filter(pk=key.pk).update(**changes)
        if shared:
            ApiKey.objects.related(key).update(**shared)
        terms.changed(key.user_id)
    key.refresh_from_db()


def revoke(key: ApiKey) -> bool:
    """End a key for good, on every node from the next request on. Twice is once: whether this was
    the first time."""
    with transaction.atomic():
        _lock(key.user_id)
        live = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
        ended = bool(live.update(revoked_at=timezone.now()))
        if ended:
            terms.changed(key.user_id)
    key.refresh_from_db(fields=["revoked_at"])
    return ended


def rotate(key: ApiKey, overlap: timedelta, made_from: str | None = None) -> tuple[ApiKey, str]:
    """A successor with the same name, slot, lifetime and restrictions; the old key ends after the
    overlap.

    Raises Conflict for a key that is not active or already has a successor, ValueError for an
    overlap beyond 0 to 30 days.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise ValueError(f"not an overlap of 0 to 30 days: {overlap}")
    with transaction.atomic():
        user, now = _lock(key.user_id), timezone.now()
        key.refresh_from_db()
        if key.status(now) != "active":
            raise _not_rotatable(f"This key is {key.status(now)}: make a new one instead.")
        if key.replaced_by_id is not None:
            raise _not_rotatable("This key is already rotated: rotate its successor instead.")
        end = key.expires_at and now + (key.expires_at - key.created_at)
        shared = {
            name: getattr(key, name)
            for name in (*FIELDS, "member_id", "stopped_at", "stopped_by_id")
        }
        lineage = key.lineage or key.pk
        successor, raw = _store(
            user, key.name, key.slot, end, lineage=lineage, made_from=made_from, **shared
        )
        key.replaced_by = successor
        key.expires_at = min(filter(None, (key.expires_at, now + overlap)))
        key.save(update_fields=["replaced_by", "expires_at"])
        terms.changed(user.pk)
    return successor, raw


def latest(pk: int, now: datetime) -> ApiKey:
    """The key of that id; of one that has ended, what it was rotated to."""
    key = ApiKey.objects.get(pk=pk)
    while key.replaced_by is not None and key.status(now) != "active":
        key = key.replaced_by
    return key


def _not_rotatable(message: str) -> errors.Conflict:
    return errors.Conflict(message, code="key_not_rotatable")


def touch(seen: Mapping[int, tuple[datetime, str]]) -> None:
    """Note when and from which IP keys (by id) were last used. Late news never wins."""
    rows = [(pk, at, _address(ip)) for pk, (at, ip) in sorted(seen.items())]
    with transaction.atomic():
        # In one order, whatever order an UPDATE finds them in.
        locked = " FOR NO KEY UPDATE" if connection.features.has_select_for_update else ""
        rowsets.select(
            f"SELECT id FROM accounts_apikey WHERE id {{among}} ORDER BY id{locked}",
            list(seen),
            "bigint",
        )
        rowsets.update(
            "accounts_apikey",
            ("id", "bigint"),
            (("at", "timestamptz"), ("ip", "inet")),
            "last_used_at = given.at, last_used_ip = given.ip",
            rows,
            where="last_used_at IS NULL OR last_used_at < given.at",
        )


@lru_cache(maxsize=4_096)
def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _lock(user_id: int) -> User:
    """The user's row, locked first by whoever changes keys: one at a time, and no deadlock."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def _free_slot(user: User, now: datetime) -> int:
    """The slot that has been free for longest, never used ones first."""
    active = set(ApiKey.objects.active(now).filter(user=user).values_list("slot", flat=True))
    if len(active) >= user.key_cap:
        raise errors.Forbidden(
            f"Your plan allows {user.key_cap} active keys, and you have {len(active)}. "
            "Revoke one, or move to a larger plan.",
            code="key_limit_reached",
        )
    latest = dict(ApiKey.objects.filter(user=user).order_by("pk").values_list("slot", "pk"))
    return min(set(range(user.key_cap)) - active, key=lambda slot: (latest.get(slot, 0), slot))


def _store(
    user: User, name: str, slot: int, expires_at: datetime | None, **more: Any
) -> tuple[ApiKey, str]:
    raw = shape.generate(PREFIX)
    key = ApiKey.objects.create(
        user=user,
        name=name,
        digest=digest(raw),
        prefix=raw[:10],
        last4=raw[-4:],
        slot=slot,
        expires_at=expires_at,
        **more,
    )
    return key, raw
