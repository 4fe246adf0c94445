"""What staff noted of a customer goes with the account."""

from datetime import datetime

from billing.staff.models import CustomerNote


def forget(user_id: int, now: datetime) -> None:
    """As accounts/sign_in/deletion.py asks for it."""
    CustomerNote.objects.filter(user_id=user_id).delete()
