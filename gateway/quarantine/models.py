"""What a vendor said it used and cannot have: kept for staff, who settle it with the vendor.

The customer was billed our estimate, at most the hold.
"""

from django.db import models
from django.utils import timezone


class UsageQuarantine(models.Model):
    """One request whose numbers nobody believes. Staff close it with a note."""

    event = models.OneToOneField(
        "gateway.UsageEvent", on_delete=models.PROTECT, primary_key=True, related_name="+"
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
