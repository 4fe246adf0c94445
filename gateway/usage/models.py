"""What was used, request by request and hour by hour, and what was refused."""

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import ApiKey
from gateway.catalogue.models import BUCKETS, Price
from gateway.dialects.ir import Usage
from gateway.usage import packing
from gateway.usage.clients import UNKNOWN


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
    # Most of the details, the dialect and the requested name, where they are what they usually
    # are; `from_db` puts them where they belong.
    brief = models.BinaryField(null=True, editable=False)

    class Meta:
        ordering = ("-id",)
        indexes: ClassVar[list[models.Index]] = [
            # What narrows the log finds its hours first: log.py.
            models.Index(fields=("user", "-id"), name="usage_of_user"),
            # Without it a log without failures would be read to its end to find none.
            models.Index(
                fields=("user", "-id"), condition=models.Q(status__gte=400), name="usage_failed"
            ),
        ]

    def __str__(self) -> str:
        return self.request_id

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        event = super().from_db(*args, **kwargs)
        if brief := vars(event).get("brief"):
            packing.fill(vars(event), bytes(brief))
        return event

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
        # All customers' last hours, among those of all years: what staff look at.
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("hour",), name="usage_hour_by_hour")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.model} {self.hour:%Y-%m-%d %H}:00"


class OwnKeyHour(models.Model):
    """The part of a UsageHour's tokens that went through the customer's own keys: they cost a fee
    here, and what they cost at the vendor, or saved there, is on another bill."""

    hour = models.DateTimeField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, db_index=False, related_name="+")
    model = models.CharField(max_length=100)
    tool = models.CharField(max_length=30, default=UNKNOWN)
    input = models.BigIntegerField(default=0)
    cache_read = models.BigIntegerField(default=0)
    cache_write_5m = models.BigIntegerField(default=0)
    cache_write_1h = models.BigIntegerField(default=0)
    output = models.BigIntegerField(default=0)
    reasoning = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0, help_text="the fees, in nano-dollars")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("user", "hour", "api_key", "model", "tool"), name="own_key_hour_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.model} {self.hour:%Y-%m-%d %H}:00"


class OverflowMonth(models.Model):
    """What a key spent past its plan's windows in a UTC month, as corrected (overflow.py)."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, db_index=False, related_name="+")
    month = models.DateTimeField(help_text="when it began")
    cost = models.BigIntegerField(default=0, help_text="nano-dollars")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("api_key", "month"), name="overflow_month_once")
        ]

    def __str__(self) -> str:
        return f"{self.api_key_id} {self.month:%Y-%m}"


class FeatureUse(models.Model):
    """Who has paid for which feature (a tool's calls, a tier, a region), and when last: whom a
    change of its price is told."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    # What a gateway still had, staff may have deleted since: settlement does not ask.
    feature = models.ForeignKey(
        "gateway.Feature", on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    last_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("user", "feature"), name="feature_use_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.feature_id}"


class Refusal(models.Model):
    """Equal refusals of one hour: what was asked of which key, why not, and how often.

    `limit`, `allowed` and `frees_at` say which limit bound, where one did. The details are the
    last one's. Kept for a month (gateway/usage/refusals.py).
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


class DeadEvent(models.Model):
    """A usage event that could not be recorded after several tries: staff must look at it."""

    stream_id = models.CharField(max_length=60, unique=True)
    payload = models.JSONField()
    problem = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.stream_id
