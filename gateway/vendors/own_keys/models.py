"""What customers bring, and what staff ask for it."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from gateway.vendors.models import Provider, Vendor
from hontoni.announced import Announced


class OwnKey(models.Model):
    """A customer's own credential at a provider. It can be written and never read: `sealed` is
    ciphertext, `prefix` all that is shown of it.

    `version` counts what makes it another one for the gateways: a new secret, and a test that it
    has passed, after which it is asked as if nothing had happened before.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="own_keys"
    )
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="own_keys_kept")
    prefix = models.CharField(max_length=12, editable=False)
    sealed = models.TextField(editable=False)
    # The home of the provider it was entered for, as a credential's of ours (vendors/models.py).
    entered_for = models.CharField(max_length=300, editable=False)
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    active = models.BooleanField(default=True, db_default=True)
    falls_back = models.BooleanField(default=False, db_default=False)
    refused_at = models.DateTimeField(null=True, blank=True, editable=False)
    refusal = models.CharField(max_length=300, blank=True, db_default="", editable=False)
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("provider__name",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("user", "provider"), name="own_key_once_a_provider"),
        ]

    def __str__(self) -> str:
        return gettext("%(what)s at %(where)s") % {
            "what": f"{self.prefix}…",
            "where": self.provider.name,
        }

    @property
    def is_at_home(self) -> bool:
        """Whether its provider is still where it was when the key was entered."""
        return self.entered_for == self.provider.home


class OwnKeyFee(Announced):
    """What a request through a customer's own key costs: one version, until the next begins.

    Never changed once it is in force, for receipts name it.
    """

    vendor = models.CharField(
        max_length=20,
        choices=Vendor,
        blank=True,
        default="",
        help_text="Whose models. Empty: those of every vendor that has no fee of its own.",
    )
    per_million = models.BigIntegerField(
        "per million tokens",
        default=0,
        validators=[MinValueValidator(0)],
        help_text="Dollars per million tokens of any kind: input, cached, output, reasoning.",
    )
    per_request = models.BigIntegerField(
        "per request",
        default=0,
        validators=[MinValueValidator(0)],
        help_text="Dollars for each request that was answered.",
    )
    effective_at = models.DateTimeField("in force from")
    reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-effective_at", "-id")
        verbose_name = "fee for own keys"
        verbose_name_plural = "fees for own keys"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("vendor", "effective_at"), name="own_key_fee_once"),
            models.CheckConstraint(
                condition=models.Q(per_million__gte=0, per_request__gte=0),
                name="own_key_fee_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(what)s from %(since)s") % {
            "what": self.get_vendor_display() or gettext("every vendor"),
            "since": f"{self.effective_at:%Y-%m-%d}",
        }
