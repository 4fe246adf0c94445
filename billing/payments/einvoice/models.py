"""What our invoices are at the tax office. Amounts are whole dong."""

from typing import Any

from django.db import models
from django.db.models import Q


class EInvoice(models.Model):
    """One document at SePay's: an invoice of ours, one that replaces it, or an adjustment."""

    class Kind(models.TextChoices):
        INVOICE = "invoice", "invoice"
        REPLACEMENT = "replacement", "replacement"
        ADJUSTMENT = "adjustment", "adjustment"

    class State(models.TextChoices):
        WAITING = "waiting", "to be handed over"
        CREATING = "creating", "being made"
        DRAFT = "draft", "made, to be issued"
        ISSUING = "issuing", "being issued"
        ISSUED = "issued", "issued"
        REPLACED = "replaced", "replaced by another"
        FAILED = "failed", "refused"

    UNFINISHED = (State.WAITING, State.CREATING, State.DRAFT, State.ISSUING)

    invoice = models.ForeignKey("billing.Invoice", models.PROTECT, related_name="e_invoices")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    about = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="What it replaces or adjusts.",
    )
    reference_code = models.CharField(max_length=64, unique=True, help_text="Ours, at SePay.")
    tracking_code = models.CharField(max_length=64, blank=True)
    template = models.CharField(max_length=10)
    series = models.CharField(max_length=20)
    number = models.CharField(max_length=20, blank=True, help_text="The tax office's.")
    rate = models.PositiveIntegerField(help_text="Dong for a dollar, frozen.")
    tax_percent = models.CharField(max_length=10, help_text="As the API names it: 10, 8, 0, -2.")
    net = models.BigIntegerField(help_text="Dong before tax; negative on what takes away.")
    tax = models.BigIntegerField(help_text="Dong.")
    total = models.BigIntegerField(help_text="Dong.")
    buyer: "models.JSONField[Any, Any]" = models.JSONField(help_text="As it was handed over.")
    reason = models.CharField(max_length=200, blank=True)
    pdf = models.BinaryField(null=True, blank=True)
    xml = models.BinaryField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(help_text="When the next step is tried.")
    created_at = models.DateTimeField(auto_now_add=True)
    issued_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "payments"
        ordering = ["-pk"]
        verbose_name = "e-invoice"
        permissions = [("replace_einvoice", "Can have an e-invoice replaced, or tried again")]
        indexes = [
            models.Index(
                fields=["next_at"],
                name="e_invoice_waiting",
                condition=Q(state__in=["waiting", "creating", "draft", "issuing"]),
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["invoice"],
                condition=~Q(kind="replacement"),
                name="e_invoice_once",
            ),
            models.UniqueConstraint(
                fields=["about"],
                condition=Q(kind="replacement"),
                name="e_invoice_replaced_once",
            ),
            models.CheckConstraint(
                condition=Q(kind="invoice", about=None) | (~Q(kind="invoice") & ~Q(about=None)),
                name="e_invoice_about_another",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.number or self.reference_code}"
