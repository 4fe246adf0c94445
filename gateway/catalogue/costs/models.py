"""What models and features cost us, and the rules by which a price is made of that."""

from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from gateway.catalogue.features.models import WHOLE
from gateway.vendors.models import Vendor


class Cost(models.Model):
    """One version of a cost, from a day (UTC) until the next; of several of one day the last that
    was noted. Never changed: what was a slip is superseded, and who looks later sees both."""

    since = models.DateField()
    source = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="Who says so."
    )
    reason = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="Why prices that fall below it stay: the list's, or one agreed with a customer.",
    )
    noted_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValueError("A cost is never changed; note another one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise ValueError("A cost stays; note another one.")


class VendorPrice(Cost):
    """What a model costs us, in nano-dollars per million tokens: one version, from a day (UTC)
    until the next. It is the estimate until the vendor's bill, and what prices are held against.

    A prompt longer than `long_context_above` costs the long-context rates. Where a vendor says
    nothing of a bucket, it is what he charges for it all the same: reasoning is output, the cache
    is input.
    """

    model = models.ForeignKey(
        "gateway.Model", on_delete=models.CASCADE, related_name="vendor_prices"
    )
    input = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    cache_write_5m = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    output = models.BigIntegerField()
    reasoning = models.BigIntegerField(null=True, blank=True, help_text="Empty: as output.")
    long_context_above = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tokens of a prompt. Empty: one price for all."
    )
    long_input = models.BigIntegerField(null=True, blank=True)
    long_cache_read = models.BigIntegerField(null=True, blank=True)
    long_cache_write_5m = models.BigIntegerField(null=True, blank=True)
    long_cache_write_1h = models.BigIntegerField(null=True, blank=True)
    long_output = models.BigIntegerField(null=True, blank=True)
    long_reasoning = models.BigIntegerField(null=True, blank=True)
    batch_factor = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Basis points of these prices in the vendor's batches: 5000 is half.",
    )

    class Meta:
        ordering = ("model", "-since", "-id")

    def __str__(self) -> str:
        return gettext("%(what)s from %(since)s") % {"what": self.model_id, "since": self.since}

    def rate(self, bucket: str) -> int:
        """Of a bucket, or `long_` of one. Nano-dollars per million tokens."""
        found: int | None = getattr(self, bucket)
        if found is None and bucket.endswith("reasoning"):
            found = getattr(self, bucket.replace("reasoning", "output"))
        if found is None:
            found = self.rate(bucket.removeprefix("long_"))
        return found


class FeatureCost(Cost):
    """What a tool's call costs us, or by how much a service tier, a region or a speed multiplies
    what tokens cost us: one version, from a day (UTC) until the next."""

    feature = models.ForeignKey("gateway.Feature", on_delete=models.CASCADE, related_name="costs")
    amount = models.BigIntegerField(default=0, db_default=0, help_text="Dollars a call.")
    factor = models.PositiveIntegerField(
        default=WHOLE, db_default=WHOLE, help_text="Basis points: 10000 is the price as it is."
    )

    class Meta:
        ordering = ("feature", "-since", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(amount__gte=0), name="feature_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(what)s from %(since)s") % {"what": self.feature, "since": self.since}


class MarkUp(models.Model):
    """How a price is made of a cost, for one vendor's models: cost x factor, rounded up."""

    vendor = models.CharField(max_length=20, choices=Vendor, unique=True)
    factor = models.PositiveIntegerField(
        default=11_500,
        validators=[MinValueValidator(1)],
        help_text="Basis points of the cost: 11500 is 15 % more.",
    )
    step = models.BigIntegerField(
        "rounded up to",
        default=1_000_000,
        validators=[MinValueValidator(1)],
        help_text="Dollars per million tokens, such as 0.01.",
    )

    class Meta:
        ordering = ("vendor",)
        verbose_name = "mark-up"

    def __str__(self) -> str:
        return f"{self.get_vendor_display()}: {gettext('cost ×')} {self.factor / WHOLE:g}"

    def price(self, cost: int) -> int:
        """Nano-dollars per million tokens. What costs nothing is sold for nothing."""
        return -(-cost * self.factor // (WHOLE * self.step)) * self.step
