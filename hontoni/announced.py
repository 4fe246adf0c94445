"""What staff change and every process keeps in memory: a change is announced in Redis with its
commit, so that a process which cannot ask the database can still tell that nothing has changed.

The announcement is a new random version of all of it together. One that gets lost, and a change
made past Django, are found by comparing with the database, which happens all the time.
"""

import logging
import uuid
from typing import Any, TypeVar

from django.db import models, transaction

from hontoni import redis

logger = logging.getLogger(__name__)

_KEY = "announced:version"

T = TypeVar("T", bound=models.Model)


def version() -> bytes | None:
    """The version there is now; None where Redis does not say."""
    try:
        client = redis.sync()
        client.set(_KEY, uuid.uuid4().hex, nx=True)
        version: bytes | None = client.get(_KEY)
    except redis.RedisError:
        return None
    return version


async def heard() -> bytes | None:
    """The same, asked from the data plane."""
    try:
        version: bytes | None = await redis.pipe().execute("GET", _KEY)
    except redis.RedisError:
        return None
    return version


def announce() -> None:
    """Something is about to change: with the commit of it everybody's version is an old one."""
    transaction.on_commit(_announce, robust=True)


def _announce() -> None:
    try:
        redis.sync().set(_KEY, uuid.uuid4().hex)
    except redis.RedisError as error:
        logger.warning("announcement.lost: %r", error)


class Queries(models.QuerySet[T]):
    """Changes of many rows at once."""

    def update(self, **values: Any) -> int:
        announce()
        return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        announce()
        return super().delete()

    def bulk_create(self, *args: Any, **options: Any) -> list[T]:
        announce()
        return super().bulk_create(*args, **options)


class Announced(models.Model):
    """A row whose changes are announced."""

    objects = Queries.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        announce()
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        announce()
        return super().delete(*args, **options)
