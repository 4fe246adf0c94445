"""Files of customers, and batches of requests with their answers."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.models import ApiKey


class Status(models.TextChoices):
    """Of a batch, in OpenAI's words; `wording.py` has Anthropic's."""

    FAILED = "failed", gettext_lazy("failed")  # its file was no batch: nothing of it ran
    IN_PROGRESS = "in_progress", gettext_lazy("running")
    CANCELLING = "cancelling", gettext_lazy("being cancelled")
    COMPLETED = "completed", gettext_lazy("completed")
    EXPIRED = "expired", gettext_lazy("expired")
    CANCELLED = "cancelled", gettext_lazy("cancelled")


OPEN = (Status.IN_PROGRESS, Status.CANCELLING)


class State(models.IntegerChoices):
    """Of one request of a batch. RUNNING: it may have been sent, and so is not sent again before
    it is known what became of it."""

    WAITING, RUNNING, SUCCEEDED, ERRORED, CANCELED, EXPIRED = range(6)


class Batch(models.Model):
    """Many requests under one key, run by whichever gateway has its lease. Money is nano-dollars:
    `held` is what was set aside for all of it, `cost` what its requests have cost so far."""

    id = models.CharField(primary_key=True, max_length=50, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=40)
    status = models.CharField(max_length=12, choices=Status.choices)
    model = models.CharField(max_length=200, blank=True, help_text="of its first request")
    input_file_id = models.CharField(max_length=50, blank=True)
    metadata = models.JSONField(default=dict)
    errors = models.JSONField(default=list)
    headers = models.JSONField(default=dict, help_text="that came with it and concern requests")
    address = models.GenericIPAddressField(null=True, help_text="it came from there")
    total = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    cost = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0, help_text="of its requests and answers")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    cancelling_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    keeps_seconds = models.PositiveIntegerField(help_text="for which its answers are kept")
    forgotten_at = models.DateTimeField(null=True, help_text="its requests and answers are gone")
    runner = models.CharField(max_length=32, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name, verbose_name_plural = gettext_lazy("batch"), gettext_lazy("batches")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("user", "-created_at", "-id"), name="batch_of_user"),
            models.Index(
                fields=("lease_until",), condition=models.Q(status__in=OPEN), name="batch_open"
            ),
            models.Index(
                fields=("ended_at",),
                condition=models.Q(forgotten_at=None, ended_at__isnull=False),
                name="batch_kept",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def done(self) -> int:
        """How many of its requests have ended, however."""
        return self.succeeded + self.errored + self.canceled + self.expired

    @property
    def processing(self) -> int:
        return max(0, self.total - self.done)

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100

    @property
    def is_anthropic(self) -> bool:
        """Whether it was made at, and is told of by, Anthropic's address."""
        return self.endpoint == "/v1/messages"


class BatchRequest(models.Model):
    """One request: its body and its answer, sealed. `bound` is the most it could cost when it
    came, `request_id` its receipt's, as it was last sent."""

    batch = models.ForeignKey(
        Batch, on_delete=models.CASCADE, db_index=False, related_name="requests"
    )
    number = models.PositiveIntegerField()
    custom_id = models.CharField(max_length=512)
    body = models.BinaryField()
    bound = models.BigIntegerField(default=0)
    state = models.SmallIntegerField(choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    request_id = models.CharField(max_length=40, blank=True)
    sent_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(default=0, help_text="HTTP status of its answer")
    cost = models.BigIntegerField(default=0)
    answer = models.BinaryField(default=b"")
    size = models.PositiveIntegerField(
        default=0, help_text="bytes: of its body, then of its line of the results"
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("batch", "number"), name="batch_request_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("batch", "state", "number"), name="batch_request_state")
        ]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.custom_id}"


class StoredFile(models.Model):
    """A customer's file. What a batch has answered is no copy: its content is the batch's."""

    id = models.CharField(primary_key=True, max_length=50, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    name = models.CharField(max_length=255)
    purpose = models.CharField(max_length=20)
    bytes = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, related_name="files")
    errors = models.BooleanField(default=False, help_text="of a batch: what was not answered well")

    class Meta:
        ordering = ("-created_at", "-id")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("user", "-created_at", "-id"), name="file_of_user")
        ]

    def __str__(self) -> str:
        return self.id


class FilePiece(models.Model):
    """A part of an uploaded file, sealed."""

    file = models.ForeignKey(
        StoredFile, on_delete=models.CASCADE, db_index=False, related_name="pieces"
    )
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("file", "number"), name="file_piece_once")
        ]

    def __str__(self) -> str:
        return f"{self.file_id} {self.number}"


def ended(state: int) -> str:
    """The column of a batch that counts requests of a state."""
    names: dict[Any, str] = {
        State.SUCCEEDED: "succeeded",
        State.ERRORED: "errored",
        State.CANCELED: "canceled",
        State.EXPIRED: "expired",
    }
    return names[state]
