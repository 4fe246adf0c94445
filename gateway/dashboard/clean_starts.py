"""What an account given clean to the owner of its address is rid of (accounts/sign_in/proof.py).

Who was there first must not read on: with a vendor's key of theirs every request would go through
their account there. Nor is there a file or an answer of theirs in what is another's from now on.
"""

from django.utils import timezone

from accounts.people import terms
from gateway.batches import closing
from gateway.dashboard.models import SavedView
from gateway.state import records
from gateway.vendors.own_keys import keeping


def cleaned(user_id: int) -> None:
    """Nothing that was brought, sent or kept until now is there any more."""
    keeping.forget_all(user_id)
    closing.forget_all(user_id, timezone.now())
    records.forget_all(user_id)
    SavedView.forget(user_id)
    terms.changed(user_id)
