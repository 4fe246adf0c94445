"""Personal access tokens: what a program acts with on /api, for the person who made it.

* A token is `pat-gw-` and what shape.py says. It is stored, and looked up, as API keys are: by a
  digest with a pepper that is not in the database. It is shown once, when it is made.
* It has scopes (scopes.py) and always an end. Revoking it, and the first proof of the account's
  address, end it at once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.keys import api_keys, scopes, shape
from accounts.models import PersonalToken, User
from hontoni import errors

PREFIX = "pat-gw-"
LONGEST = timedelta(days=366)
BY_DEFAULT = timedelta(days=90)
MOST = 50  # active ones of an account
_TOUCHED = timedelta(minutes=1)


def well_formed(raw: str) -> bool:
    """Whether this could be a token of ours. No I/O."""
    return shape.well_formed(raw, PREFIX)


def find(raw: str) -> PersonalToken | None:
    """The token and its user, *whatever its state*: see `refusal`."""
    if not well_formed(raw):
        return None
    digest = api_keys.digest(raw)
    found = PersonalToken.objects.select_related("user", "person")
    return found.filter(digest=digest).first()


def refusal(token: PersonalToken, now: datetime) -> errors.ApiError | None:
    """Why it may not be used; None if it may."""
    if not (token.user.is_active and (token.person is None or token.person.is_active)):
        return errors.Unauthenticated("This account is deactivated.")
    status = token.status(now)
    if status != "active":
        return errors.Unauthenticated(f"This token is {status}.", code="invalid_token")
    return None


def mint(
    user: User,
    name: str,
    granted: Iterable[str],
    expires_at: datetime | None = None,
    made_from: str | None = None,
    person: User | None = None,
) -> tuple[PersonalToken, str]:
    """A new token, and the token in clear. It acts for `user`; `person` is who, if another.
    Without an end it lasts for BY_DEFAULT. Raises
    BadRequest for scopes that no token has, and for an end that is past or too far away; Forbidden
    beyond MOST."""
    now = timezone.now()
    end = expires_at or now + BY_DEFAULT
    chosen = scopes.in_order(granted)
    if not chosen or not set(chosen) <= set(scopes.OF_TOKENS):
        known = ", ".join(scopes.OF_TOKENS)
        raise errors.BadRequest(f"A token has one or more of the scopes {known}.", param="scopes")
    if not now < end <= now + LONGEST:
        raise errors.BadRequest("A token lasts for a year at the most.", param="expires_at")
    with transaction.atomic():
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if active(locked, now).count() >= MOST:
            raise errors.Forbidden(
                f"There are {MOST} active tokens: revoke one.", code="token_limit_reached"
            )
        raw = shape.generate(PREFIX)
        made = PersonalToken.objects.create(
            user=locked,
            name=name,
            digest=api_keys.digest(raw),
            prefix=raw[:11],
            last4=raw[-4:],
            scopes=chosen,
            expires_at=end,
            made_from=made_from,
            person=None if person is None or person.pk == user.pk else person,
        )
    return made, raw


def of(user: User, person: User) -> QuerySet[PersonalToken]:
    """Those a person has for an account, revoked ones included."""
    whose = None if person.pk == user.pk else person
    return PersonalToken.objects.filter(user=user, person=whose)


def active(user: User, now: datetime) -> QuerySet[PersonalToken]:
    """Those of an account that work."""
    return PersonalToken.objects.filter(user=user, revoked_at=None, expires_at__gt=now)


def revoke(token: PersonalToken) -> bool:
    """End it for good. Twice is once: whether this was the first time."""
    live = PersonalToken.objects.filter(pk=token.pk, revoked_at=None)
    ended = bool(live.update(revoked_at=timezone.now()))
    token.refresh_from_db(fields=["revoked_at"])
    return ended


def touch(token: PersonalToken, address: str | None, now: datetime) -> None:
    """Note that it was used: once a minute is enough."""
    if token.last_used_at is None or token.last_used_at < now - _TOUCHED:
        PersonalToken.objects.filter(pk=token.pk).update(last_used_at=now, last_used_ip=address)
