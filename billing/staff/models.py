"""An account as staff see it: with its money, its plan and its keys."""

from accounts.models import User


class Customer(User):
    """A proxy, so that who may see customers need not see staff, and the other way round."""

    class Meta:
        proxy = True
        permissions = [("freeze_customer", "Can freeze and unfreeze an account")]
