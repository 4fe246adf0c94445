"""What usage events that were taken out come to."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from billing.books.models import Checkpoint
from billing.books.written_once import WrittenOnce


class UsageBroughtForward(WrittenOnce):
    """The events of one account that went into the archive with a checkpoint, in sum."""

    checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="usage")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requests = models.BigIntegerField()
    cost = models.BigIntegerField(help_text="nano-dollars charged")

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("checkpoint", "user"), name="usage_brought_forward_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint_id} of {self.user_id}"
