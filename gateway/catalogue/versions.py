"""Versions of what customers pay: announced, in force from a moment on, and never changed.

A receipt names the version it was made from, so one that is or was in force stays as it is.
"""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.utils import timezone

from hontoni.announced import Announced


class Version(Announced):
    """One version of one thing's price. `kin` are all versions of the same thing."""

    effective_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="Why it is below what the vendor charges, or rises without the usual notice. "
        "For staff.",
    )

    class Meta:
        abstract = True

    def kin(self) -> "models.QuerySet[Self]":
        raise NotImplementedError

    def first(self) -> Self | None:
        """What is paid before any version is in force; None if the thing is not sold then."""
        return None

    def current(self, moment: datetime) -> Self | None:
        """The version of the same thing that a request admitted at that moment pays."""
        begun = self.kin().filter(effective_at__lte=moment)
        return begun.order_by("-effective_at", "-id").first() or self.first()

    def previous(self) -> Self | None:
        """What is paid until this one begins."""
        earlier = self.kin().filter(effective_at__lt=self.effective_at).exclude(pk=self.pk)
        return earlier.order_by("-effective_at", "-id").first() or self.first()

    def following(self, since: datetime) -> Self | None:
        """The next one after a moment."""
        later = self.kin().filter(effective_at__gt=since)
        return later.order_by("effective_at", "id").first()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ValueError("A price is never changed; add a new one.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        if self.effective_at <= timezone.now():
            raise ValueError("A price that is or was in force stays.")
        return super().delete(*args, **kwargs)
