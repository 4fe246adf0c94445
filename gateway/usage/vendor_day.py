"""Usage by the credential that served it, a day: what vendors' bills are laid beside."""

from typing import ClassVar

from django.db import models

# What vendors count. They count reasoning as output.
COUNTED = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
# `calls`: of hosted tools, or the pieces of a model that is billed by them.
UNITS = (*COUNTED, "calls")
# Counters of sound: a price beside that of the model's tokens, which have counted it already.
AMONG_TOKENS = frozenset(("audio.input", "audio.output"))
OWN = "own key"  # in place of a vendor: customers' own keys, which are on no bill of ours


class Part(models.TextChoices):
    """How a request, or one attempt at it, ended up in our books."""

    CHARGED = "charged", "charged by the vendor's numbers"
    ESTIMATED = "estimated", "charged by an estimate: the answer was cut"
    CAPPED = "capped", "charged less: the hold was used up"
    QUARANTINED = "quarantined", "charged an estimate: the vendor's numbers were not believed"
    GIVEN_AWAY = "given_away", "charged nothing: it failed, or was empty"
    DISPUTED = "disputed", "what the vendor told beyond what was believed"
    FAILED = "failed", "an attempt that failed, before another credential answered"
    PROBED = "probed", "asked by ourselves, to see how the vendor is"


class UsageVendorDay(models.Model):
    """Usage events summed by day (UTC), credential that served, model, and how they ended. Written
    with the events themselves.

    Of `failed` and `disputed` the tokens are the most that the vendor may count, not what was
    used. `at_most` (nano-dollars) bounds what nobody knows tokens of. Of own keys `vendor` is OWN,
    and the credential ends in the customer's number.
    """

    day = models.DateField()
    vendor = models.CharField(max_length=20)
    credential = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    part = models.CharField(max_length=12, choices=Part)
    requests = models.BigIntegerField(default=0, db_default=0)
    input = models.BigIntegerField(default=0, db_default=0)
    cache_read = models.BigIntegerField(default=0, db_default=0)
    cache_write_5m = models.BigIntegerField(default=0, db_default=0)
    cache_write_1h = models.BigIntegerField(default=0, db_default=0)
    output = models.BigIntegerField(default=0, db_default=0)
    calls = models.BigIntegerField(default=0, db_default=0, help_text="of hosted tools")
    calls_cost = models.BigIntegerField(default=0, db_default=0, help_text="what we ask for them")
    cost = models.BigIntegerField(default=0, db_default=0, help_text="nano-dollars charged")
    at_most = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("day", "vendor", "credential", "model", "part"),
                name="usage_vendor_day_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.credential} {self.model} {self.part}"
