"""Opening an account with an address and a password: what programs do by /api. (The page is
allauth's, and ends in the same rows.)"""

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.legal import consents
from accounts.models import User
from accounts.sign_in import devices
from hontoni import errors


def open_account(
    request: HttpRequest, *, email: str, password: str, name: str = "", through: str
) -> User:
    """The account, with an address that has yet to prove itself, and what its owner agreed to.
    Sends the mail that asks for the proof. Raises Conflict if the address has an account."""
    try:
        # The unique constraint decides: asking first would leave a gap between.
        with transaction.atomic():
            user = User.objects.create_user(email, password, name=name)
            address = EmailAddress.objects.create(user=user, email=user.email, primary=True)
            consents.record(user, through=through, now=timezone.now())
    except IntegrityError:
        raise errors.Conflict(
            "There is an account with this e-mail address: log in instead.",
            code="email_taken",
            param="email",
        ) from None
    address.send_confirmation(request)
    devices.remember(request, user.email)
    return user
