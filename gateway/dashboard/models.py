"""What staff's roles have been given, so that new permissions are given once."""

from typing import ClassVar

from django.db import models


class RoleGrant(models.Model):
    """A permission that a role of staff was given when it was new: gateway/dashboard/roles.py."""

    role = models.CharField(max_length=150)
    app = models.CharField(max_length=100)
    codename = models.CharField(max_length=100)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("role", "app", "codename"), name="role_granted_once")
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.app}.{self.codename}"
