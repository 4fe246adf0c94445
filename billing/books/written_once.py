"""Rows that are written once: the models refuse a second write, and so does the database.

The models refuse with a message for programmers; triggers (migration 0002) refuse whoever comes
past them: `psql`, raw SQL, a migration that means well. TRUNCATE and DROP are the owner's.

On SQLite a migration that rebuilds a table drops its triggers: it has to create them again.
"""

from typing import Any, NoReturn

from django.db import models


class Immutable(TypeError):
    """An attempt to change or delete what is written once."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__(f"{model._meta.verbose_name_plural} are written once")


class WrittenOnceQuerySet(models.QuerySet[Any]):
    def update(self, **fields: Any) -> NoReturn:
        raise Immutable(self.model)

    def delete(self) -> NoReturn:
        raise Immutable(self.model)


class WrittenOnce(models.Model):
    """Base of the models whose rows can only be added."""

    objects = WrittenOnceQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable(type(self))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Immutable(type(self))
