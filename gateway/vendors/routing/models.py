"""What staff choose for a model, and what they know of each provider that has it."""

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext

from gateway.vendors.models import Provider
from hontoni.announced import Announced


class Choice(models.TextChoices):
    SHARE = "share", "by share: sessions are divided by weight"
    COST = "cost", "the cheapest first"
    LATENCY = "latency", "the fastest first"


class Routing(Announced):
    """How one of a model's ways is chosen among those of the same priority. Without a row of its
    own a model is as the row without a model says; without that, by share."""

    model = models.OneToOneField(
        "gateway.Model",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="routing",
        help_text="Empty: every model without a choice of its own.",
    )
    choose = models.CharField(max_length=10, choices=Choice, default=Choice.SHARE)

    class Meta:
        ordering = ("model",)
        verbose_name = "choice of vendors"
        verbose_name_plural = "choices of vendors"

    def __str__(self) -> str:
        return f"{self.model_id or gettext('every other model')}: {self.get_choose_display()}"

    def clean(self) -> None:
        if self.model_id is None and Routing.objects.filter(model=None).exclude(pk=self.pk):
            raise ValidationError(gettext("There is one for every other model already."))


class RouteTerms(Announced):
    """By what one provider of a model is chosen among others: rates to compare by, in nano-dollars
    per million tokens, and its share of the sessions. Empty shares are the credentials' weights.

    The rates are a setting, and the present one alone matters: nothing is priced, earned or
    reconciled by them. What a model costs us are the versions of VendorPrice.
    """

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="terms")
    model = models.ForeignKey("gateway.Model", on_delete=models.CASCADE, related_name="routes")
    share = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Beside those of the model's other providers. Empty: its credentials' weights.",
    )
    input = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(0)])
    cache_read = models.BigIntegerField(
        "cached input", null=True, blank=True, validators=[MinValueValidator(0)]
    )
    output = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(0)])

    class Meta:
        ordering = ("model", "provider")
        verbose_name = "vendor of a model"
        verbose_name_plural = "vendors of models"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("provider", "model"), name="route_terms_once"),
        ]

    def __str__(self) -> str:
        return gettext("%(what)s at %(where)s") % {
            "what": self.model_id,
            "where": self.provider.name,
        }

    def clean(self) -> None:
        given = [rate is not None for rate in (self.input, self.output)]
        if any(given) and not all(given):
            raise ValidationError(gettext("Both input and output, or neither."))

    @property
    def compared(self) -> int | None:
        """To compare by: of a million tokens as agents use them, 70 cached, 25 fresh and 5 out of
        a hundred. None: nobody knows."""
        if self.input is None or self.output is None:
            return None
        cached = self.input if self.cache_read is None else self.cache_read
        return (70 * cached + 25 * self.input + 5 * self.output) // 100
