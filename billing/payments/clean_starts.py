"""What an account given clean to the owner of its address is rid of (accounts/sign_in/proof.py).

Who was there first must not have the owner's card charged, keep mails from them, hear of their
account by a channel, or be named on their invoices. What was paid and bought stays: it is in the
books.
"""

from django.utils import timezone

from accounts.sign_in import proof
from billing.channels import keeping
from billing.invoices.models import BillingDetails
from billing.mails.models import Preferences
from billing.payments.models import AutoTopUp


def follow() -> None:
    """Hear of every account that is given clean from now on."""
    proof.follow(cleaned)


def cleaned(user_id: int) -> None:
    """Nothing is charged or left out that the owner did not ask for."""
    AutoTopUp.objects.filter(pk=user_id).update(enabled=False)
    Preferences.objects.filter(pk=user_id).delete()
    BillingDetails.objects.filter(pk=user_id).delete()
    keeping.close(user_id, timezone.now())
