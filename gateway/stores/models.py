"""Which life of the stores this is, and which gateways take part in it."""

from django.db import models
from django.db.models.functions import Now


class StoreEpoch(models.Model):
    """One row: the epoch that both stores are in, and the life of Valkey it began with."""

    THE = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE)
    epoch = models.CharField(max_length=32, blank=True)
    incarnation = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=200, blank=True, help_text="why it began")
    # That the database went back: then everything that spools still keep is put back.
    restored = models.BooleanField(default=False, db_default=False)
    began_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.epoch}: {self.reason}"


class Node(models.Model):
    """A gateway process that may have requests running, and in which epoch it announced them."""

    id = models.CharField(max_length=32, primary_key=True)
    host = models.CharField(max_length=200)
    spool = models.CharField(max_length=400, blank=True, help_text="its folder on that host")
    epoch = models.CharField(max_length=32, blank=True)
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.host} {self.id}"
