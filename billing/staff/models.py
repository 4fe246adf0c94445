"""An account as staff see it: with its money, its plan and its keys; and what they noted of it."""

from django.db import models

from accounts.models import User


class Customer(User):
    """A proxy, so that who may see customers need not see staff, and the other way round."""

    class Meta:
        proxy = True
        permissions = [
            ("freeze_customer", "Can freeze and unfreeze an account"),
            ("look_as_customer", "Can look at the pages as a customer sees them"),
            ("raise_limits", "Can raise an account's limits for a time"),
            ("export_customer", "Can export everything that is kept of a customer"),
            ("close_customer", "Can delete an account at its owner's wish"),
        ]


class CustomerNote(models.Model):
    """For staff: the customer does not see it. It goes with the account."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    text = models.TextField(max_length=4_000)
    author = models.CharField(max_length=254)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d} {self.author}"
