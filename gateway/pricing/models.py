"""What public sources say that differs from the catalogue, for staff to accept or decline."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from gateway.vendors.models import Vendor


class Kind(models.TextChoices):
    NEW_MODEL = "new_model", "new model"
    COST = "cost", "changed price of the vendor"
    DISAGREEMENT = "disagreement", "sources disagree"
    BELOW_COST = "below_cost", "sold below cost"
    END = "end", "new end date"
    CAPABILITY = "capability", "changed capability"


class State(models.TextChoices):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    GONE = "gone", "no longer so"


class Proposal(models.Model):
    """One difference. It changes nothing until it is accepted.

    `listings` is what each source says, `facts` what accepting it would write: rates are dollars
    per million tokens as text. `key` is of what is proposed, so that the same is proposed once,
    and one declined comes back only when a source says something else.
    """

    kind = models.CharField(max_length=20, choices=Kind)
    vendor = models.CharField(max_length=20, choices=Vendor)
    model = models.ForeignKey(
        "gateway.Model", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=100, help_text="as the vendor calls it")
    facts = models.JSONField(default=dict)
    listings = models.JSONField(default=dict)
    key = models.CharField(max_length=64, unique=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, help_text="by the last sync that saw it")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True, db_default="")

    class Meta:
        ordering = ("-created_at", "-id")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("state", "kind"), name="proposal_open"),
        ]
        permissions = (("decide_proposal", "Can accept and decline proposals"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.model_id or self.name}"
