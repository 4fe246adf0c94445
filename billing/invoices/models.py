"""Invoices and their series, written once; and, theirs to change, who they are made out to."""

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from billing.books.written_once import WrittenOnce


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
    country = models.CharField(
        max_length=2,
        blank=True,
        default="",
        db_default="",
        help_text="Two letters, such as VN or DE.",
        validators=[RegexValidator(r"^[A-Z]{2}\Z", _("Two capital letters, such as VN or DE."))],
    )

    class Meta:
        verbose_name_plural = "billing details"

    def __str__(self) -> str:
        return f"billing details of {self.user_id}"

    @classmethod
    def of(cls, user: User) -> "BillingDetails":
        """The account's; empty ones, not yet kept, where it has given none."""
        return cls.objects.filter(pk=user.pk).first() or cls(user=user)


class TaxRate(models.Model):
    """The tax that prices contain from a day on, in place of SELLER_TAX_RATE; taxes.py."""

    since = models.DateField(unique=True, help_text="The first day, in the seller's country.")
    percent = models.DecimalField(
        max_digits=6,
        decimal_places=4,
        validators=[MinValueValidator(0), MaxValueValidator(Decimal("99.9999"))],
        help_text="Such as 10, or 8 while it is reduced.",
    )

    class Meta:
        ordering = ["-since"]

    def __str__(self) -> str:
        return f"{self.percent.normalize():f} % ({self.since:%Y-%m-%d})"


class InvoiceSeries(models.Model):
    """How far the numbers of a series have come. Whoever locks the row may take the next one."""

    name = models.CharField(max_length=20, unique=True)
    last = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "invoice series"

    def __str__(self) -> str:
        return f"{self.name}: {self.last}"


class Invoice(WrittenOnce):
    """A document of a payment, or of something given back. Amounts: nano-dollars.

    Its lines add up to what the ledger moved. `total` is what was paid or given back: the lines,
    and a tax that came on top of them. Everything it says is frozen here and in `pdf`; nothing is
    ever drawn again.
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
    transfer = models.OneToOneField(
        "billing.Transfer",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="invoice",
        db_constraint=False,
    )
    cause = models.CharField(
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text="What at Stripe it is about, where the ledger moved nothing.",
    )
    issued_at = models.DateTimeField()
    seller = models.JSONField()
    buyer = models.JSONField()
    lines = models.JSONField(help_text="Text, and amount in nano-dollars.")
    total = models.BigIntegerField(help_text="With tax. Negative on a credit note.")
    tax = models.BigIntegerField(default=0, db_default=0, help_text="Of the total.")
    tax_on_top = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The lines are before tax; else they contain it.",
    )
    tax_name = models.CharField(max_length=50, blank=True, default="", db_default="")
    note = models.TextField(
        blank=True, default="", db_default="", help_text="What the law wants said."
    )
    paid_by = models.CharField(max_length=100, blank=True, default="", db_default="")
    paid_at = models.DateTimeField(null=True, blank=True, help_text="Empty: when it was issued.")
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
            models.UniqueConstraint(
                fields=["cause"], condition=~Q(cause=""), name="invoice_cause_once"
            ),
            models.CheckConstraint(
                condition=Q(transfer=None, cause__gt="") | Q(transfer__isnull=False, cause=""),
                name="invoice_of_one_thing",
            ),
        ]
        indexes = [models.Index(fields=["user", "-id"], name="invoice_of_user")]

    def __str__(self) -> str:
        return self.number

    @property
    def net(self) -> int:
        """Before tax."""
        return self.total - self.tax

    @property
    def moved(self) -> int:
        """What the ledger moved: the sum of the lines."""
        return self.net if self.tax_on_top else self.total
