"""The allow-list of what a vendor is asked for by name, and the count of what was not on it."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _t

from gateway.catalogue.versions import Version
from gateway.vendors.models import Dialect
from hontoni.announced import Announced

WHOLE = 10_000  # basis points: the price as it is
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
OURS = "ours"  # in place of a dialect: what we run ourselves, whichever vendor's model asks


class Kind(models.TextChoices):
    TOOL = "tool", "type of tool"
    MEMBER = "member", "member of the body"
    VALUE = "value", "value of a member"
    BETA = "beta", "beta flag"
    HEADER = "header", "header"
    BLOCK = "block", "type of content block, item or edit"
    COUNTER = "counter", "counter of the vendor's, priced by its unit"


class Pricing(models.TextChoices):
    INCLUDED = "included", "included: costs nothing of its own"
    PER_CALL = "per_call", "per call"
    FACTOR = "factor", "factor on the tokens' price"
    TOKENS = "tokens", "tokens, at the price of the model that made them"


class Feature(Announced):
    """One thing that customers may ask a vendor for; what is not here is left out.

    `name` is exact, or ends in `*`. Members of members are written with dots (`output_config.x`,
    `tools.max_uses`): once one of a container is listed, its others must be, too. A value is
    `member=value`: once one of a member is listed, its other values must be, too.

    What we run ourselves (`dialect` is OURS) is offered while a search provider is active
    (gateway/vendors/web), where the vendor has no such tool.

    `meter` is what the vendor's answer counts by. For `per_call`: the counters that are added up
    to the number of calls, with commas between. For `factor`: the member that says which value
    was applied. For `tokens`: the rows of kind `counter` whose units a use may cost; none where
    the answer counts them by model (gateway/codecs/*/usage.py). `most_calls` bounds the hold (for
    a counter: in units) and is told to the vendor as `bound`, where it has such a member.

    `pricing`, `amount` and `factor` are its first price; what is paid after it is a FeaturePrice.
    """

    dialect = models.CharField(
        max_length=30,
        choices=[*Dialect.choices, (OURS, _t("run by us"))],
        help_text="in which the vendor is asked",
    )
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100, help_text="exact, or the beginning of it and a *")
    only_models = models.CharField(
        max_length=500,
        blank=True,
        default="",
        db_default="",
        help_text="ids of the models that have it, separated by commas; empty: all",
    )
    pricing = models.CharField(
        max_length=10, choices=Pricing, default=Pricing.INCLUDED, db_default=Pricing.INCLUDED
    )
    amount = models.BigIntegerField(
        default=0, db_default=0, validators=[MinValueValidator(0)], help_text="dollars a call"
    )
    factor = models.PositiveIntegerField(
        default=WHOLE, db_default=WHOLE, help_text="basis points: 10000 is the price as it is"
    )
    meter = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="what the vendor calls its counter",
    )
    most_calls = models.PositiveIntegerField(
        default=0, db_default=0, help_text="how many a request may make"
    )
    bound = models.CharField(
        max_length=60,
        blank=True,
        default="",
        db_default="",
        help_text="the member that tells the vendor so: max_uses, max_tool_calls, or none",
    )
    active = models.BooleanField(default=True, db_default=True)
    note = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="what it is"
    )

    class Meta:
        ordering = ("dialect", "kind", "name", "only_models")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("dialect", "kind", "name", "only_models"), name="feature_once"
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0), name="feature_amount_not_negative"
            ),
        ]

    def __str__(self) -> str:
        only = f" ({self.only_models})" if self.only_models else ""
        return f"{self.dialect} {self.kind}:{self.name}{only}"

    def clean(self) -> None:
        """Raises ValidationError for what could not be billed or bounded."""
        if self.name.rstrip("*") == "" or "*" in self.name[:-1]:
            raise ValidationError({"name": _("A name, or the beginning of one and a single *.")})
        ways = {self.pricing: self.factor}
        if self.pk:
            ways |= dict(self.prices.values_list("pricing", "factor"))
        for pricing, factor in ways.items():
            self.check_pricing(pricing, factor)

    def check_pricing(self, pricing: str, factor: int) -> None:
        """Raises ValidationError for what could not be counted, or bounded."""
        if pricing == Pricing.PER_CALL and not (self.meter and self.most_calls):
            raise ValidationError(_("A call that costs money needs a meter and a most."))
        if pricing == Pricing.FACTOR and not (factor and self.kind == Kind.VALUE):
            raise ValidationError(_("A factor is a value's (member=value), and more than 0."))


class FeaturePrice(Version):
    """One version of what a feature costs, after its first price."""

    feature = models.ForeignKey(Feature, on_delete=models.PROTECT, related_name="prices")
    pricing = models.CharField(max_length=10, choices=Pricing)
    amount = models.BigIntegerField(
        default=0, db_default=0, validators=[MinValueValidator(0)], help_text="Dollars a call."
    )
    factor = models.PositiveIntegerField(
        default=WHOLE,
        db_default=WHOLE,
        validators=[MinValueValidator(1)],
        help_text="Basis points: 10000 is the price as it is.",
    )

    class Meta:
        ordering = ("-effective_at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("feature", "effective_at"), name="feature_price_once_a_moment"
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, factor__gt=0), name="feature_price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        since = f"{self.effective_at:%Y-%m-%d %H:%M}"
        return _("%(what)s from %(since)s") % {"what": self.feature, "since": since}

    def kin(self) -> "models.QuerySet[FeaturePrice]":
        return FeaturePrice.objects.filter(feature=self.feature_id).select_related("feature")

    def first(self) -> "FeaturePrice":
        """As the feature itself has it."""
        row = self.feature
        kept: dict[str, Any] = {"pricing": row.pricing, "amount": row.amount}
        return FeaturePrice(feature=row, factor=row.factor or WHOLE, effective_at=_ALWAYS, **kept)

    def clean(self) -> None:
        """Raises ValidationError for what could not be billed or bounded."""
        if self.feature_id:
            self.feature.check_pricing(self.pricing, self.factor)

    @property
    def per_call(self) -> int:
        """Nano-dollars; 0 where a call costs nothing of its own."""
        return self.amount if self.pricing == Pricing.PER_CALL else 0

    @property
    def times(self) -> int:
        """Basis points of the tokens' price."""
        return self.factor if self.pricing == Pricing.FACTOR else WHOLE

    def is_dearer_than(self, other: "FeaturePrice") -> bool:
        """Whether some request can cost more: a call, or its tokens by a factor, or whatever the
        tokens of a tool come to where they were free, or cost so much a call."""
        tokens = self.pricing == Pricing.TOKENS and other.pricing != Pricing.TOKENS
        return tokens or self.per_call > other.per_call or self.times > other.times


class LeftOut(models.Model):
    """What customers asked for and no row above allows, since it was first seen."""

    dialect = models.CharField(max_length=30, choices=Dialect)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100)
    count = models.PositiveBigIntegerField(default=0, db_default=0)
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)
    last_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    last_request_id = models.CharField(max_length=40, blank=True, default="", db_default="")

    class Meta:
        ordering = ("-last_at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("dialect", "kind", "name"), name="left_out_once")
        ]
        permissions = (("allow_leftout", "Can allow what was left out"),)
        verbose_name = "left out"
        verbose_name_plural = "left out"

    def __str__(self) -> str:
        return f"{self.dialect} {self.kind}:{self.name}"


def times(factor: int) -> str:
    """Basis points as a number: 11000 is 1.1."""
    whole, fraction = divmod(factor, WHOLE)
    return f"{whole}.{fraction:04d}".rstrip("0").rstrip(".")
