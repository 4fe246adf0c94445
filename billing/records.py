"""What customers are told, written once: invoices, and notices that become mails.

And, theirs to change, who the next invoices are made out to.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.immutable import WrittenOnce
from hontoni.money import dollars


class Notice(WrittenOnce):
    """Something a customer should hear of. Whoever sends mail reads these, oldest first."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=50)
    key = models.CharField(max_length=255, unique=True)
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key


class PriceNotice(models.Model):
    """A subscriber was told of a higher price: it binds no renewal before `binds_at`."""

    subscription = models.ForeignKey(
        "billing.Subscription", models.PROTECT, related_name="price_notices", db_index=False
    )
    plan = models.ForeignKey("billing.Plan", models.PROTECT, null=True, related_name="+")
    add_on = models.ForeignKey("billing.AddOn", models.PROTECT, null=True, related_name="+")
    price = models.BigIntegerField(help_text="Nano-dollars a month.")
    told_at = models.DateTimeField()
    binds_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["subscription", "price"], name="price_notice_of")]
        constraints = [
            models.CheckConstraint(
                condition=Q(plan=None, add_on__isnull=False) | Q(plan__isnull=False, add_on=None),
                name="price_notice_of_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan or self.add_on} at ${dollars(self.price)}"


class BillingDetails(models.Model):
    """Who an account's invoices are made out to. No row: its name and address of e-mail alone."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        primary_key=True,
        related_name="billing_details",
    )
    name = models.CharField(max_length=200, blank=True, help_text="Empty: the account's.")
    address = models.CharField(max_length=500, blank=True, help_text="Lines, separated by '; '.")
    tax_id = models.CharField(max_length=50, blank=True)

    class Meta:
        verbose_name_plural = "billing details"

    def __str__(self) -> str:
        return f"billing details of {self.user_id}"


class InvoiceSeries(models.Model):
    """How far the numbers of a series have come. Whoever locks the row may take the next one."""

    name = models.CharField(max_length=20, unique=True)
    last = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "invoice series"

    def __str__(self) -> str:
        return f"{self.name}: {self.last}"


class Invoice(WrittenOnce):
    """A document of something paid from the balance, or credited to it. Amounts: nano-dollars.

    Everything it says is frozen here and in `pdf`; nothing is ever drawn again.
    """

    class Kind(models.TextChoices):
        INVOICE = "invoice"
        CREDIT_NOTE = "credit_note", "credit note"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    series = models.ForeignKey(InvoiceSeries, models.PROTECT, related_name="invoices")
    sequence = models.PositiveBigIntegerField()
    number = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="invoices")
    subscription = models.ForeignKey(
        "billing.Subscription", models.PROTECT, null=True, blank=True, related_name="invoices"
    )
    transfer = models.OneToOneField("billing.Transfer", models.PROTECT, related_name="invoice")
    issued_at = models.DateTimeField()
    seller = models.JSONField()
    buyer = models.JSONField()
    lines = models.JSONField(help_text="Text, and amount in nano-dollars.")
    total = models.BigIntegerField(help_text="Negative on a credit note.")
    currency = models.CharField(max_length=3, default="USD")
    credits = models.JSONField(default=list, help_text="The invoices a credit note is about.")
    pdf = models.BinaryField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["series", "sequence"], name="invoice_number_once"),
            models.CheckConstraint(
                condition=Q(kind="invoice", total__gt=0) | Q(kind="credit_note", total__lt=0),
                name="invoice_sign_follows_kind",
            ),
        ]
        indexes = [models.Index(fields=["user", "-id"], name="invoice_of_user")]

    def __str__(self) -> str:
        return self.number
