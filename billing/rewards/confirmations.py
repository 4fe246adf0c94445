"""What comes with a confirmed address: the sign-up credit, and whoever invited the account.

By whichever door: the link in a mail, a provider that vouches for the address, a password that was
reset by mail, staff. They have in common that the address is saved as verified.
"""

from allauth.account.models import EmailAddress
from allauth.core import context
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.people.mailboxes import mailbox
from billing.rewards import browsers, gifts, referrals
from billing.rewards.models import Mark


@receiver(post_save, sender=EmailAddress, dispatch_uid="billing.confirmations")
def _confirmed(instance: EmailAddress, raw: bool = False, **others: object) -> None:
    if raw or not instance.verified:
        return
    user_id = instance.user_id
    gifts.recognise(user_id, Mark.Kind.MAILBOX, mailbox(instance.email))
    if browser := _browser(context.request):
        gifts.recognise(user_id, Mark.Kind.BROWSER, browser)
    gifts.welcome(user_id)
    referrals.confirm(user_id)


def _browser(request: HttpRequest | None) -> str:
    """Where the link was opened; not where staff did it for somebody else."""
    staff = request is not None and getattr(getattr(request, "user", None), "is_staff", False)
    return "" if request is None or staff else browsers.known(request)
