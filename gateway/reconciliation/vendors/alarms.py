"""Staff hear by mail of what a vendor bills and nothing explains: once, until it is gone.

Who may see vendors' bills is told. What is noted as told is committed only if the mail went out,
so that a broken mail server delays an alarm and never loses it.
"""

import logging
from collections.abc import Iterable
from datetime import date

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from gateway.reconciliation.vendors.comparison import Difference, differences
from gateway.reconciliation.vendors.models import VendorDifference
from gateway.reconciliation.vendors.places import Place
from hontoni.money import dollars

logger = logging.getLogger(__name__)

PERMISSION = "gateway.view_vendorbill"


def look(first: date, last: date) -> list[Difference]:
    """Compare these days and tell staff what is new. Returns what is above the thresholds."""
    found = [each for each in differences(first, last) if each.alarming]
    for each in found:
        logger.error("vendorbills.unexplained %s", sentence(each))
    try:
        _tell(found, first, last)
    except OSError:  # and every error of SMTP's: nothing is noted as told, so the next look tells
        logger.exception("vendorbills.mail_failed")
    return found


def _tell(found: list[Difference], first: date, last: date) -> None:
    """What is new by mail, and what is gone as gone."""
    with transaction.atomic():
        known = {
            Place(row.day, row.vendor, row.credential, row.model): row
            for row in VendorDifference.objects.select_for_update().filter(
                day__gte=first, day__lte=last
            )
        }
        now = timezone.now()
        there = {each.place for each in found}
        gone = [row.pk for place, row in known.items() if place not in there]
        VendorDifference.objects.filter(pk__in=gone, gone_at=None).update(gone_at=now)
        new = [e for e in found if e.place not in known or known[e.place].gone_at]
        _keep(new)
        if new:
            _mail(new)


def _keep(new: Iterable[Difference]) -> None:
    for each in new:
        place = each.place._asdict()
        given = {"rest": each.rest, "billed": each.billed, "told_at": timezone.now()}
        VendorDifference.objects.update_or_create(**place, defaults=given | {"gone_at": None})


def _mail(new: list[Difference]) -> None:
    to = [
        user.email
        for user in User.objects.filter(is_staff=True, is_active=True)
        if user.has_perm(PERMISSION)
    ]
    if not to:
        logger.warning("vendorbills.nobody_to_tell")
        return
    lines = "\n".join(f"* {sentence(each)}" for each in new)
    body = (
        f"Vendors bill what our books do not explain, or the other way round:\n\n{lines}\n\n"
        f"{settings.PUBLIC_URL}/admin/gateway/vendordifference/\n"
    )
    send_mail(f"{len(new)} vendor bills do not agree with the books", body, None, to)


def sentence(each: Difference) -> str:
    """One difference, in words."""
    place = each.place
    explained = ", ".join(f"{name} ${dollars(v)}" for name, v in each.parts.items()) or "nothing"
    return (
        f"{place.day} {place.credential or place.vendor + ' (no credential of ours)'} "
        f"{place.model or '(no model)'}: billed ${dollars(each.billed)}; {explained}; "
        f"unexplained ${dollars(each.rest)}"
    )
