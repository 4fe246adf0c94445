"""What a search of staff's found: a row, how it is shown, and how long it may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection
from django.db.models import Model

MOST = 5  # of one kind


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and how it is shown."""

    row: Model
    title: str
    about: str
    icon: str
    needs: str = ""  # the table that one must see for it, if not the row's own


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """On Postgres a statement in this transaction may take so long, and then fails."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {seconds * 1000}")
    yield
