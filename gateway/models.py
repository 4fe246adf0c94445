"""The catalogue (what is sold, at which price, from when) and the usage (what was used)."""

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import ApiKey
from gateway.corrections.models import CorrectedAccount, CorrectedRequest, Correction
from gateway.features.models import Feature, LeftOut
from gateway.ir import Usage
from gateway.pools.models import Credential, Dialect, Offering, Provider, Vendor
from gateway.quarantine.models import UsageQuarantine
from gateway.tools import UNKNOWN
from gateway.vendorbills.models import (
    ReportSource,
    UsageVendorDay,
    VendorBill,
    VendorDifference,
    VendorImport,
    VendorName,
    VendorPrice,
)

__all__ = [
    "Alias",
    "CorrectedAccount",
    "CorrectedRequest",
    "Correction",
    "Credential",
    "DeadEvent",
    "Dialect",
    "Feature",
    "LeftOut",
    "Model",
    "Offering",
    "Price",
    "Provider",
    "Refusal",
    "ReportSource",
    "RoleGrant",
    "UsageEvent",
    "UsageHour",
    "UsageQuarantine",
    "UsageVendorDay",
    "Vendor",
    "VendorBill",
    "VendorDifference",
    "VendorImport",
    "VendorName",
    "VendorPrice",
]

BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")


class Model(models.Model):
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

    class Meta:
        ordering = ("sort_order", "id")

    def __str__(self) -> str:
        return self.id


class Price(models.Model):
    """One version of a model's prices, in nano-dollars per million tokens. Never changed: a new
    price is a new row, so that every receipt can name the one it was made from.

    A prompt longer than `long_context_above` tokens pays the long-context prices for the whole
    request, as the vendors do.
    """

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="prices")
    effective_at = models.DateTimeField(default=timezone.now)
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
        return f"{self.model_id} from {self.effective_at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValueError("A price is never changed; add a new one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        if self.effective_at <= timezone.now():
            raise ValueError("A price that is or was in force stays.")
        return super().delete(*args, **kwargs)


class Alias(models.Model):
    """Another name for a model: the vendor's own ids, and names that clients pick."""

    name = models.CharField(primary_key=True, max_length=100)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "aliases"

    def __str__(self) -> str:
        return f"{self.name} → {self.model_id}"


class UsageEvent(models.Model):
    """One request that was admitted, as its receipt tells it. Written once, by the consumer.

    The primary key is the request's UUIDv7, so its order is the order of admission and it alone
    makes a retried batch harmless.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, db_index=False, related_name="+")
    model = models.CharField(max_length=100)
    requested_model = models.CharField(max_length=200)
    price = models.ForeignKey(Price, on_delete=models.PROTECT, db_index=False, related_name="+")
    # Which charge of the ledger it is part of: the id of that charge's first request. Null on what
    # was recorded before this was kept.
    batch = models.UUIDField(null=True, editable=False)
    dialect = models.CharField(max_length=30)
    stream = models.BooleanField()
    created_at = models.DateTimeField(help_text="when it was admitted")
    input = models.PositiveIntegerField(default=0)
    cache_read = models.PositiveIntegerField(default=0)
    cache_write_5m = models.PositiveIntegerField(default=0)
    cache_write_1h = models.PositiveIntegerField(default=0)
    output = models.PositiveIntegerField(default=0)
    reasoning = models.PositiveIntegerField(default=0)
    cost = models.BigIntegerField(default=0, help_text="nano-dollars charged")
    hold = models.BigIntegerField(default=0, help_text="nano-dollars held at the end")
    estimated = models.BooleanField(
        default=False, help_text="the vendor reported no usage; ours is an estimate"
    )
    aborted = models.BooleanField(default=False, help_text="the client left before the end")
    status = models.PositiveSmallIntegerField(default=500, help_text="HTTP status the client got")
    error = models.CharField(max_length=60, blank=True)
    upstream_status = models.PositiveSmallIntegerField(null=True)
    upstream_request_id = models.CharField(max_length=200, blank=True)
    first_byte_ms = models.PositiveIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(default=0)
    client = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=30, default=UNKNOWN, help_text="what `client` is called")
    details = models.JSONField(default=dict, help_text="windows, clamps, attempts")

    class Meta:
        ordering = ("-id",)
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("user", "-id"), name="usage_of_user"),
            models.Index(fields=("user", "api_key", "-id"), name="usage_of_key"),
            models.Index(fields=("user", "model", "-id"), name="usage_of_model"),
            models.Index(fields=("user", "tool", "-id"), name="usage_of_tool"),
            # Without it a log without failures would be read to its end to find none.
            models.Index(
                fields=("user", "-id"), condition=models.Q(status__gte=400), name="usage_failed"
            ),
        ]

    def __str__(self) -> str:
        return self.request_id

    @property
    def request_id(self) -> str:
        return f"req_{self.id.hex}"

    @property
    def charged(self) -> int:
        """Nano-dollars, as corrected; `corrections.models.corrected` looks it up for many."""
        if "corrected_cost" in vars(self):
            corrected: int | None = vars(self)["corrected_cost"]
        else:
            last = self.corrections.last()
            corrected = last.new_cost if last else None
        return self.cost if corrected is None else corrected

    @property
    def price_read_at(self) -> datetime | None:
        """When the gateway had last read the price list as it admitted this."""
        read_at = self.details.get("price_read_at")
        return datetime.fromtimestamp(read_at, UTC) if read_at else None

    @property
    def prompt_tokens(self) -> int:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def output_tokens(self) -> int:
        return self.output + self.reasoning

    @property
    def usage(self) -> Usage:
        return Usage(**{bucket: getattr(self, bucket) for bucket in BUCKETS})


class UsageHour(models.Model):
    """Usage events summed by hour, account, key, model and tool: what charts read. Kept for
    ever."""

    hour = models.DateTimeField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, db_index=False, related_name="+")
    model = models.CharField(max_length=100)
    tool = models.CharField(max_length=30, default=UNKNOWN)
    requests = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    input = models.BigIntegerField(default=0)
    cache_read = models.BigIntegerField(default=0)
    cache_write_5m = models.BigIntegerField(default=0)
    cache_write_1h = models.BigIntegerField(default=0)
    output = models.BigIntegerField(default=0)
    reasoning = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("user", "hour", "api_key", "model", "tool"), name="usage_hour_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.model} {self.hour:%Y-%m-%d %H}:00"


class Refusal(models.Model):
    """Equal refusals of one hour: what was asked of which key, why not, and how often.

    `limit`, `allowed` and `frees_at` say which limit bound, where one did. The details are the
    last one's. Kept for a month (gateway/refusals.py).
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    hour = models.DateTimeField(db_index=True)
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, db_index=False, related_name="+")
    code = models.CharField(max_length=60)
    model = models.CharField(max_length=100, blank=True, help_text="as it was asked for")
    status = models.PositiveSmallIntegerField()
    message = models.CharField(max_length=500)
    limit = models.CharField(max_length=40, blank=True)
    allowed = models.CharField(max_length=40, blank=True, help_text="requests, or dollars")
    frees_at = models.DateTimeField(null=True)
    request_id = models.CharField(max_length=40)
    count = models.PositiveIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("user", "hour", "api_key", "code", "model"), name="refusal_once_an_hour"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("user", "-last_at"), name="refusal_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.code} x {self.count}"


class RoleGrant(models.Model):
    """A permission that a role of staff was given when it was new: gateway/roles.py."""

    role = models.CharField(max_length=150)
    app = models.CharField(max_length=100)
    codename = models.CharField(max_length=100)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("role", "app", "codename"), name="role_granted_once")
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.app}.{self.codename}"


class DeadEvent(models.Model):
    """A usage event that could not be recorded after several tries: staff must look at it."""

    stream_id = models.CharField(max_length=60, unique=True)
    payload = models.JSONField()
    problem = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.stream_id
