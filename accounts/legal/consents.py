"""Who agreed to what, and when. Opening an account agrees to the terms and the privacy policy, as
every door to it says: the page, /api, and who vouches for an address."""

from datetime import datetime
from typing import Any

from allauth.account.signals import user_signed_up
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.legal import texts
from accounts.models import Consent, LegalText, User


def record(user: User, *, through: str, now: datetime) -> None:
    """Keep that they agree to what holds now. Twice is once: the first moment counts."""
    Consent.objects.bulk_create(
        (
            Consent(
                user=user,
                page=page,
                version=texts.current(page, now).version,
                through=through,
                agreed_at=now,
            )
            for page in texts.AGREED
        ),
        ignore_conflicts=True,
    )


def missing(user: User, now: datetime) -> list[LegalText]:
    """What holds and they did not agree to: it is newer than they are, or staff opened the
    account."""
    agreed = set(Consent.objects.filter(user=user).values_list("page", "version"))
    found = [texts.current(page, now) for page in texts.AGREED]
    return [text for text in found if (text.page, text.version) not in agreed]


@receiver(user_signed_up, dispatch_uid="accounts.consents")
def _signed_up(request: HttpRequest, user: User, **about: Any) -> None:
    login = about.get("sociallogin")
    with transaction.atomic():
        through = login.account.provider if login else "page"
        record(user, through=through, now=timezone.now())
