"""Gifts without a claim: given by nodes of a release that knew none, while an upgrade ran.

Their takers are written down as what they are, or the same person would have it again under
another account. Who has a claim is not looked at again.
"""

from collections.abc import Iterator
from datetime import datetime

from accounts.models import User
from accounts.people.mailboxes import mailbox
from billing.books.models import Transfer
from billing.rewards import gifts
from billing.rewards.models import Claim, Mark, Redemption, Referral


def write_down(since: datetime) -> int:
    """Claim what was given since then and its taker has no claim to; how many gifts. Again and
    again the same for a second account of one person: a mark has one holder."""
    given = list(_given(since))
    claims = Claim.objects.filter(user_id__in={user_id for user_id, _ in given})
    known = set(claims.values_list("user_id", "gift"))
    missing = [each for each in given if each not in known]
    takers = User.objects.filter(pk__in={user_id for user_id, _ in missing}, is_active=True)
    emails = dict(takers.values_list("pk", "email"))
    for user_id, email in emails.items():
        gifts.recognise(user_id, Mark.Kind.MAILBOX, mailbox(email))
    for user_id, gift in missing:
        gifts.waive(user_id, gift)
    return len(missing)


def _given(since: datetime) -> Iterator[tuple[int, str]]:
    """Account and gift."""
    new = User.objects.filter(created_at__gte=since).order_by("pk").values_list("pk", flat=True)
    keys = {gifts.signup_key(user_id): user_id for user_id in new}
    for key in Transfer.objects.filter(key__in=keys).order_by("pk").values_list("key", flat=True):
        yield keys[key], gifts.SIGNUP
    redeemed = Redemption.objects.filter(created_at__gte=since).order_by("pk")
    for user_id, code_id, number in redeemed.values_list("user_id", "code_id", "number"):
        yield user_id, f"promo:{code_id}:{number}"
    invited = Referral.objects.filter(created_at__gte=since, confirmed=True).order_by("pk")
    for user_id in invited.values_list("invitee_id", flat=True):
        yield user_id, gifts.REFERRAL
