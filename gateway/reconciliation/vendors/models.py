"""Vendors' bills as they were imported, and what we booked beside them."""

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from gateway.vendors.models import Credential, Vendor, home, http_url

DEFAULT_ACCOUNT = "default"


class ReportSource(models.Model):
    """Where a vendor tells what it bills us: an organization's admin credential, sealed like every
    other (gateway/vendors/vault.py).

    Anthropic and OpenAI: an admin key. Google: a service account's key file (JSON) that may read
    the table of the billing export in BigQuery.
    """

    vendor = models.CharField(max_length=20, choices=Vendor)
    account = models.SlugField(
        max_length=40, default=DEFAULT_ACCOUNT, help_text="our name for the organization"
    )
    sealed = models.TextField(editable=False)
    base_url = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        validators=[http_url],
        help_text="empty: the vendor's own",
    )
    # The home the secret was entered for: it is sent nowhere else. Empty: of before, see `bind`.
    entered_for = models.CharField(max_length=300, blank=True, db_default="", editable=False)
    table = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="Google only: project.dataset.table of the export",
    )
    active = models.BooleanField(default=True, db_default=True)
    fetched_at = models.DateTimeField(null=True, blank=True, editable=False)
    problem = models.CharField(max_length=300, blank=True, db_default="", editable=False)
    # The values in it: it is a template, read by staff in their language.
    problem_about = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()), editable=False
    )

    class Meta:
        ordering = ("vendor", "account")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("vendor", "account"), name="report_source_once"),
        ]

    def __str__(self) -> str:
        return f"{self.vendor}/{self.account}"

    @property
    def home(self) -> str:
        """Where the secret is sent."""
        return home(self.vendor, self.base_url)

    @property
    def is_at_home(self) -> bool:
        """Whether that is where it was entered for."""
        return self.entered_for in ("", self.home)


def bind() -> None:
    """Bind the secrets of before to where they are sent now."""
    for source in ReportSource.objects.filter(entered_for=""):
        ReportSource.objects.filter(pk=source.pk, entered_for="").update(entered_for=source.home)


class VendorName(models.Model):
    """A key, workspace or project as a vendor calls it, and the credential of ours that it is."""

    vendor = models.CharField(max_length=20, choices=Vendor)
    name = models.CharField(
        max_length=200, help_text="id or name of the key, else of its workspace or project"
    )
    credential = models.ForeignKey(
        Credential,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="empty: the key from the environment",
    )

    class Meta:
        ordering = ("vendor", "name")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("vendor", "name"), name="vendor_name_once"),
        ]

    def __str__(self) -> str:
        return gettext("%(name)s is %(what)s") % {"name": self.name, "what": self.label}

    @property
    def label(self) -> str:
        """As receipts name the credential."""
        return str(self.credential) if self.credential else f"{self.vendor}/environment"


class VendorImport(models.Model):
    """One report that was imported, and what became of it. Kept for ever."""

    vendor = models.CharField(max_length=20, choices=Vendor)
    account = models.CharField(max_length=40)
    kind = models.CharField(max_length=10, help_text="usage, costs, or both")
    form = models.CharField(max_length=10, help_text="json, or csv")
    source = models.CharField(max_length=300, help_text="file, or address")
    sha256 = models.CharField(max_length=64)
    first_day = models.DateField()
    last_day = models.DateField()
    rows = models.PositiveIntegerField(help_text="bills it told of")
    changed = models.PositiveIntegerField(help_text="of them new, or other than before")
    by = models.CharField(max_length=254, help_text="who imported it")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("vendor", "first_day", "last_day"), name="vendor_import_days"),
        ]

    def __str__(self) -> str:
        return f"{self.vendor}/{self.account} {self.kind} {self.first_day} – {self.last_day}"


class VendorBill(models.Model):
    """What a vendor says one key used of one model on one day (UTC), and what it costs us.

    Usage is told by key, costs sometimes only by workspace or project: such a row has no `key`,
    and no tokens. A later report replaces what an earlier one said.
    """

    vendor = models.CharField(max_length=20, choices=Vendor)
    account = models.CharField(max_length=40)
    scope = models.CharField(
        max_length=200, blank=True, db_default="", help_text="workspace or project"
    )
    key = models.CharField(
        max_length=200, blank=True, db_default="", help_text="as the vendor names it"
    )
    vendor_model = models.CharField(max_length=200, blank=True, db_default="")
    day = models.DateField()
    input = models.BigIntegerField(default=0, db_default=0)
    cache_read = models.BigIntegerField(default=0, db_default=0)
    cache_write_5m = models.BigIntegerField(default=0, db_default=0)
    cache_write_1h = models.BigIntegerField(default=0, db_default=0)
    output = models.BigIntegerField(default=0, db_default=0)
    calls = models.BigIntegerField(default=0, db_default=0, help_text="of hosted tools")
    requests = models.BigIntegerField(null=True, help_text="where the vendor tells")
    dollars = models.BigIntegerField(null=True, help_text="nano-dollars; empty: no costs yet")
    costs = models.JSONField(default=dict, help_text="nano-dollars, by what they are for")
    usage_import = models.ForeignKey(
        VendorImport, on_delete=models.PROTECT, null=True, related_name="+"
    )
    cost_import = models.ForeignKey(
        VendorImport, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("vendor", "account", "scope", "key", "vendor_model", "day"),
                name="vendor_bill_once",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("day", "vendor"), name="vendor_bill_day"),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} {self.key or self.scope} {self.vendor_model} {self.day}"


class VendorDifference(models.Model):
    """A rest that staff were told of: once, until it is gone."""

    vendor = models.CharField(max_length=20, choices=Vendor)
    credential = models.CharField(max_length=100, blank=True, db_default="")
    model = models.CharField(max_length=200, blank=True, db_default="")
    day = models.DateField()
    rest = models.BigIntegerField(help_text="nano-dollars that nothing explains")
    billed = models.BigIntegerField(help_text="nano-dollars")
    told_at = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("vendor", "credential", "model", "day"), name="vendor_difference_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credential or self.vendor} {self.model} {self.day}"


class MarginAlarm(models.Model):
    """A model's day, or a customer's, that earned less than nothing: staff were told, once."""

    day = models.DateField()
    model = models.CharField(max_length=100, blank=True, db_default="")
    customer = models.CharField(max_length=20, blank=True, db_default="", help_text="account")
    revenue = models.BigIntegerField(help_text="nano-dollars")
    cost = models.BigIntegerField(help_text="nano-dollars")
    told_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("day", "model", "customer"), name="margin_alarm_once"),
        ]

    def __str__(self) -> str:
        return f"{self.model or self.customer} {self.day}"
