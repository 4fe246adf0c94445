"""What a vendor said it used and cannot have, or what cost more than was held: kept for staff, who
settle it with the vendor. The customer was billed the hold.
"""

from django.db import models
from django.utils import timezone


class Kind(models.TextChoices):
    ABSURD = "absurd", "nobody can believe it"
    CAPPED = "capped", "costs more than was held"


class UsageQuarantine(models.Model):
    """One request whose bill is strange. Staff close it with a note."""

    event = models.OneToOneField(
        "gateway.UsageEvent",
        on_delete=models.PROTECT,
        primary_key=True,
        related_name="+",
        db_constraint=False,
    )
    kind = models.CharField(
        max_length=20, choices=Kind, default=Kind.ABSURD, db_default=Kind.ABSURD.value
    )
    told = models.JSONField(help_text="tokens by bucket, as the vendor told them")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=254, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-created_at",)
        permissions = (("close_usagequarantine", "Can close usage in quarantine"),)
        verbose_name = "usage in quarantine"
        verbose_name_plural = "usage in quarantine"

    def __str__(self) -> str:
        return f"req_{self.event_id.hex}"
