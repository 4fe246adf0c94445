"""What staff's roles have been given, so that new permissions are given once; and the views of
their usage that customers keep."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


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


class SavedView(models.Model):
    """What the usage page was narrowed to, under a name of its owner's."""

    NAME_LENGTH, MOST = 60, 30

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    name = models.CharField(max_length=NAME_LENGTH)
    query = models.CharField(max_length=1000, help_text="of /usage")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        ordering = ("name",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("user", "name"), name="saved_view_once")
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def keep(cls, user_id: int, name: str, query: str) -> bool:
        """Save, in place of what has that name; False if there are as many as there may be."""
        mine = cls.objects.filter(user_id=user_id)
        if not mine.filter(name=name).exists() and mine.count() >= cls.MOST:
            return False
        cls.objects.update_or_create(user_id=user_id, name=name, defaults={"query": query})
        return True

    @classmethod
    def forget(cls, user_id: int) -> None:
        """All of an account's."""
        cls.objects.filter(user_id=user_id).delete()
