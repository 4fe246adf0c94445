"""What staff announce to many: who has heard it, what a customer still sees of it, and no more
news.

Whom it concerns is found by the cockpit, which may look at plans and at usage; it comes here with
accounts. Each is told once: a row of `Told` and the key of the notice are the memory.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.urls import reverse

from accounts.models import User
from billing.mails import notices
from billing.mails.models import Announcement, Notice, Told

_SALT = "billing.unsubscribe"
_CHUNK = 1_000
_LETTERS = {Announcement.Kind.SERVICE: "announcement", Announcement.Kind.NEWS: "news"}
MOST_BANNERS = 3


def tell(announcement: Announcement, users: Iterable[int], *, mail: bool) -> int:
    """Tell these accounts, each once; how many they were. In the caller's transaction."""
    told, remaining = 0, iter(users)
    while chunk := list(islice(remaining, _CHUNK)):
        rows = [Told(announcement=announcement, user_id=pk, mailed=mail) for pk in chunk]
        Told.objects.bulk_create(rows, ignore_conflicts=True)
        if mail:
            kind = _LETTERS[Announcement.Kind(announcement.kind)]
            readers = confirmed(chunk) if kind == "news" else chunk
            notices.tell_all(_notice(announcement, kind, pk) for pk in readers)
        told += len(chunk)
    return told


def _notice(announcement: Announcement, kind: str, user_id: int) -> Notice:
    key = f"announcement:{announcement.pk}:{user_id}"
    return Notice(user_id=user_id, kind=kind, key=key, facts={"announcement": announcement.pk})


def confirmed(users: Iterable[int]) -> list[int]:
    """Those of them who have shown that the address is theirs: others are sent no advertising."""
    rows = EmailAddress.objects.filter(user__in=list(users), verified=True, primary=True)
    return list(rows.values_list("user", flat=True))


def facts(notice: Notice) -> dict[str, Any]:
    """What a letter says of it, in its reader's language; nothing of other notices."""
    if notice.kind not in _LETTERS.values() or "announcement" not in notice.facts:
        return {}
    announcement = Announcement.objects.get(pk=notice.facts["announcement"])
    return words(announcement, notice.user)


def words(announcement: Announcement, reader: User) -> dict[str, Any]:
    """Subject and text of its mail to somebody."""
    subject, body = announcement.words(reader.language)
    found = {"subject": subject, "body": body}
    if announcement.kind == Announcement.Kind.NEWS:
        found["unsubscribe"] = unsubscribing(reader.pk)
    return found


# -- Banners -------------------------------------------------------------------------------------


def banners(user_id: int, now: datetime) -> list[Announcement]:
    """What a customer was told, is still so, and was not dismissed: the newest."""
    rows = Announcement.objects.filter(
        told__user=user_id,
        told__dismissed_at=None,
        banner=True,
        withdrawn_at=None,
        ends_at__gt=now,
    )
    return list(rows.order_by("-begun_at", "-pk")[:MOST_BANNERS])


def dismiss(announcement_id: int, user_id: int, now: datetime) -> None:
    Told.objects.filter(announcement=announcement_id, user=user_id, dismissed_at=None).update(
        dismissed_at=now
    )


# -- No more news --------------------------------------------------------------------------------


def unsubscribing(user_id: int) -> str:
    """The address that ends news for this account. It ends nothing else, and does not expire."""
    token = signing.Signer(salt=_SALT).sign(str(user_id))
    return settings.PUBLIC_URL + reverse("unsubscribe", args=[token])


def reader(token: str) -> User | None:
    """Whose address that is."""
    try:
        user_id = signing.Signer(salt=_SALT).unsign(token)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=int(user_id), is_active=True).first()
