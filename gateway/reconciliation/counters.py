"""What Valkey counts, compared with the database each hour, and made anew where they differ.

An account that differs was wrong for as long as nobody looked: staff hear of it by mail, although
its next request finds it right again.
"""

import logging

from django.core.mail import send_mail

from accounts.models import User
from billing.payments import reconcile
from gateway.stores import rebuilding
from gateway.usage.settlement import recorded

logger = logging.getLogger(__name__)

PERMISSION = "billing.view_ledgeraccount"


def differing() -> dict[int, list[str]]:
    """The accounts whose money in Valkey is not what the database makes of it, and why. Raises
    errors.Unavailable."""
    return reconcile.differing(recorded=recorded)


def repair(found: dict[int, list[str]]) -> None:
    """Have these accounts made anew before their next request. Raises errors.Unavailable."""
    rebuilding.reseed(found)


def look() -> int:
    """Compare, repair and tell staff; how many accounts differed. Raises errors.Unavailable."""
    found = differing()
    if not found:
        return 0
    repair(found)
    sentences = [sentence for each in found.values() for sentence in each]
    for sentence in sentences:
        logger.critical("counters.differ %s", sentence)
    _tell(sentences)
    return len(found)


def _tell(sentences: list[str]) -> None:
    staff = User.objects.filter(is_staff=True, is_active=True)
    to = [user.email for user in staff if user.has_perm(PERMISSION)]
    if not to:
        logger.warning("counters.nobody_to_tell")
        return
    lines = "\n".join(f"* {sentence}" for sentence in sentences)
    body = (
        "Valkey counted other money than the database for these accounts. They are made anew\n"
        f"from the database before their next request:\n\n{lines}\n"
    )
    try:
        send_mail(f"{len(sentences)} differences between Valkey and the database", body, None, to)
    except OSError:  # and every error of SMTP's
        logger.exception("counters.mail_failed")
