"""What was agreed with one customer."""

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from gateway.catalogue.models import BUCKETS, Model
from hontoni.announced import Announced


class CustomerPrice(Announced):
    """One customer's price of a model, or of all models: `multiplier` of the list's, or rates in
    nano-dollars per million tokens, whatever the prompt's length. Of several that hold at a
    moment the model's own comes first, then the one that began last.

    Never changed: what was agreed anew is a new row. One in force is ended by its `until_at`.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="own_prices"
    )
    model = models.ForeignKey(
        Model,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="own_prices",
        help_text="Empty: all models, which needs a multiplier.",
    )
    multiplier = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Basis points of the list's price: 9000 is 10 % off. Empty: the rates below.",
    )
    input = models.BigIntegerField(null=True, blank=True)
    cache_read = models.BigIntegerField(null=True, blank=True)
    cache_write_5m = models.BigIntegerField(null=True, blank=True)
    cache_write_1h = models.BigIntegerField(null=True, blank=True)
    output = models.BigIntegerField(null=True, blank=True)
    reasoning = models.BigIntegerField(null=True, blank=True)
    from_at = models.DateTimeField("in force from", default=timezone.now)
    until_at = models.DateTimeField("until", null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-from_at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(multiplier__gt=0, **{f"{b}__isnull": True for b in BUCKETS})
                | models.Q(
                    multiplier=None,
                    model__isnull=False,
                    **{f"{bucket}__gte": 0 for bucket in BUCKETS},
                ),
                name="customer_price_one_way",
            ),
            models.CheckConstraint(
                condition=models.Q(until_at=None) | models.Q(until_at__gt=models.F("from_at")),
                name="customer_price_forward",
            ),
        ]

    def __str__(self) -> str:
        percent = None if self.multiplier is None else f"{self.multiplier / 100:g} %"
        what = self.model_id or gettext("all models")
        return f"{self.user}: " + gettext("%(what)s at %(where)s") % {
            **{"what": what, "where": percent or gettext("its own rates")}
        }

    @property
    def rates(self) -> tuple[int, ...] | None:
        """In BUCKETS' order; None for a multiplier."""
        return None if self.multiplier else tuple(getattr(self, name) for name in BUCKETS)

    def clean(self) -> None:
        """Raises ValidationError for what is neither a multiplier nor rates."""
        given: list[Any] = [getattr(self, name) for name in BUCKETS]
        if self.multiplier:
            if any(rate is not None for rate in given):
                raise ValidationError(gettext("A multiplier, or rates; not both."))
        elif self.model_id is None or any(rate is None for rate in given):
            raise ValidationError(gettext("A multiplier, or a model and all of its rates."))
        if self.until_at and self.until_at <= self.from_at:
            raise ValidationError({"until_at": gettext("It ends before it begins.")})
