"""What is sold: models, their prices and their other names."""

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from gateway.catalogue.versions import Version
from gateway.vendors.models import Dialect, Vendor
from hontoni.announced import Announced

BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")


class Model(Announced):
    """A model customers may ask for. `upstream_id` is what its vendor calls it."""

    id = models.SlugField(primary_key=True, max_length=100, allow_unicode=False)
    name = models.CharField(max_length=100)
    vendor = models.CharField(max_length=20, choices=Vendor)
    upstream_id = models.CharField(max_length=100)
    dialect = models.CharField(max_length=30, choices=Dialect, help_text="spoken to its vendor")
    context_window = models.PositiveIntegerField(help_text="tokens")
    max_output = models.PositiveIntegerField(help_text="tokens, reasoning included")
    long_context_window = models.PositiveIntegerField(
        null=True, blank=True, help_text="tokens with the suffix -1m; empty: refused"
    )
    long_context_beta = models.CharField(
        max_length=100, blank=True, help_text="the anthropic-beta that -1m switches on, if any"
    )
    capabilities = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    sort_order = models.PositiveSmallIntegerField(default=0)
    released_at = models.DateTimeField(default=timezone.now)
    available_from = models.DateTimeField(
        null=True, blank=True, help_text="Not sold before then. Empty: sold."
    )
    ends_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="From then on it is refused (404 model_retired), or its successor answers. "
        "Customers who use it hear of it 60, 14 and 1 days before.",
    )
    deprecated_at = models.DateTimeField(
        "end announced at", null=True, blank=True, help_text="Empty: when the end is saved."
    )
    successor = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="predecessors"
    )
    redirects = models.BooleanField(
        "successor answers",
        default=False,
        db_default=False,
        help_text="After its end its name means the successor; answers and receipts say so.",
    )
    vendor_notice = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="Where its vendor says so: an address, or in words.",
    )

    class Meta:
        ordering = ("sort_order", "id")

    def __str__(self) -> str:
        return self.id

    def clean(self) -> None:
        """Raises ValidationError for a life that cannot be."""
        if self.ends_at and self.available_from and self.ends_at <= self.available_from:
            raise ValidationError({"ends_at": gettext("It ends before it begins.")})
        if self.successor_id == self.pk:
            raise ValidationError({"successor": gettext("Another model.")})
        if self.redirects and not (self.successor_id and self.ends_at):
            raise ValidationError({"redirects": gettext("That needs an end and a successor.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.ends_at and not self.deprecated_at:
            self.deprecated_at = min(timezone.now(), self.ends_at)
        super().save(*args, **kwargs)


def living(now: datetime) -> models.Q:
    """The models that have begun, and have not ended, or that another one answers for."""
    begun = models.Q(available_from=None) | models.Q(available_from__lte=now)
    return begun & (models.Q(ends_at=None) | models.Q(ends_at__gt=now) | models.Q(redirects=True))


class Price(Version):
    """One version of a model's prices, in nano-dollars per million tokens. Never changed: a new
    price is a new row, so that every receipt can name the one it was made from.

    A prompt longer than `long_context_above` tokens pays the long-context prices for the whole
    request, as the vendors do.
    """

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="prices")
    input = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    cache_write_5m = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    output = models.BigIntegerField()
    reasoning = models.BigIntegerField()
    long_context_above = models.PositiveIntegerField(null=True, blank=True)
    long_input = models.BigIntegerField(null=True, blank=True)
    long_cache_read = models.BigIntegerField(null=True, blank=True)
    long_cache_write_5m = models.BigIntegerField(null=True, blank=True)
    long_cache_write_1h = models.BigIntegerField(null=True, blank=True)
    long_output = models.BigIntegerField(null=True, blank=True)
    long_reasoning = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ("-effective_at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("model", "effective_at"), name="price_once_a_moment"),
            *(
                models.CheckConstraint(
                    condition=models.Q(**{f"{bucket}__gte": 0}),
                    name=f"price_{bucket}_not_negative",
                )
                for bucket in BUCKETS
            ),
            models.CheckConstraint(
                condition=models.Q(long_context_above=None)
                | models.Q(**{f"long_{bucket}__isnull": False for bucket in BUCKETS}),
                name="price_long_context_complete",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(what)s from %(since)s") % {
            "what": self.model_id,
            "since": f"{self.effective_at:%Y-%m-%d %H:%M}",
        }

    def kin(self) -> "models.QuerySet[Price]":
        return Price.objects.filter(model=self.model_id)


class Alias(Announced):
    """Another name for a model: the vendor's own ids, and names that clients pick."""

    name = models.CharField(primary_key=True, max_length=100)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="aliases")
    alternative = models.ForeignKey(
        Model,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Meant in its place where both are sold and this one is not dearer.",
    )

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return f"{self.name} → {self.model_id}"
