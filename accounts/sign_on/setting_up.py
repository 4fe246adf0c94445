"""A team's own sign-in as its owner sets it up."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accounts.models import Membership, SignOn
from accounts.sign_on import domains, entering, provider
from accounts.teams import events
from hontoni import errors


def of_team(mine: Membership) -> SignOn:
    """The team's, made when it is first looked at."""
    found = SignOn.objects.filter(pk=mine.account_id).first()
    if found is not None:
        return found
    base = slugify(mine.account.name)[:40] or "team"
    for slug in (base, f"{base}-{mine.account_id}"):
        try:
            with transaction.atomic():
                return SignOn.objects.create(account=mine.account, slug=slug)
        except IntegrityError:
            continue
    return SignOn.objects.get(pk=mine.account_id)


def change(
    mine: Membership,
    *,
    issuer: str,
    client_id: str,
    secret: str,
    joins_as: str,
    enforced: bool,
    ip: str | None = None,
) -> SignOn:
    """Name the provider, whose discovery document is read first; an empty secret stays as it is.
    Raises BadRequest, its `param` the field at fault."""
    issuer = issuer.strip()
    if issuer and not client_id:
        raise errors.BadRequest("The provider gives one.", param="client_id")
    if enforced and not (issuer and domains.proven(mine.account_id)):
        raise errors.BadRequest("Name a provider, and prove a domain first.", param="enforced")
    if issuer:
        provider.discover(issuer, fresh=True)
    sign_on = of_team(mine)
    with transaction.atomic():
        begins = enforced and not sign_on.enforced
        if issuer != sign_on.issuer:  # another one means other people by its subjects
            sign_on.identities.all().delete()
            sign_on.sealed_secret = ""
        sign_on.issuer, sign_on.client_id = issuer, client_id
        sign_on.joins_as, sign_on.enforced = joins_as, enforced
        if secret:
            sign_on.sealed_secret = provider.seal(secret)
        sign_on.save()
        facts: dict[str, Any] = {"issuer": issuer, "enforced": enforced, "joins_as": joins_as}
        events.record(mine.account_id, mine.person, "sign_on_changed", ip=ip, **facts)
        if begins:
            entering.end_others(sign_on)
    return sign_on
