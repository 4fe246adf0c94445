"""The proof of what is in the archive: that rollups and charges are those of events in the
database and of events that are gone together; and, file by file, that nothing was changed."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Sum

from billing.books import checkpoints
from billing.books.models import Checkpoint
from gateway.archive import expiry, sums
from gateway.archive.models import UsageBroughtForward
from gateway.archive.sums import Key, Sums
from hontoni import months


def by_account() -> dict[int, tuple[int, int]]:
    """How many events are gone of each account, and what they cost."""
    rows = UsageBroughtForward.objects.order_by().values_list("user_id")
    summed = rows.annotate(Sum("requests"), Sum("cost"))
    return {user: (count, cost) for user, count, cost in summed}


class Rollups:
    """What the rollups say beyond the events that are here: it must be what checkpoints say."""

    def __init__(self) -> None:
        self.signed = {
            months.of_day(each.month): each
            for each in Checkpoint.objects.order_by("number")
            if checkpoints.is_signed_by(each)
        }
        self._beyond: dict[Key, Sums] = {}
        for each in self.signed.values():
            for key, found in sums.read(checkpoints.contents(each)["usage"]["beyond"]).items():
                self._beyond[key] = sums.plus(self._beyond.get(key, sums.NOTHING), found)
        self._gone: defaultdict[datetime, dict[Key, Sums]] = defaultdict(dict)

    def knows(self, key: Key) -> bool:
        """Whether a rollup may be of events that are gone."""
        return months.begin(key[1]) in self.signed or key in self._beyond

    def is_explained(self, key: Key, difference: Sums) -> bool:
        """Whether a difference is nothing, or of a month that is gone: then `problems` looks."""
        rest = sums.minus(difference, self._beyond.pop(key, sums.NOTHING))
        month = months.begin(key[1])
        if month in self.signed:
            self._gone[month][key] = rest
            return True
        return not any(rest)

    def problems(self) -> Iterator[str]:
        """Of the months that are gone, when all differences were told."""
        for month, each in self.signed.items():
            signed = checkpoints.contents(each)["usage"]
            if sums.digest(self._gone[month]) != signed["hours"]:
                yield f"the rollups of {months.name(month)} are not what {each} says"
            if expiry.accounts_digest(each.pk) != signed["accounts"]:
                yield f"{each}: what accounts used is not what it says"
        for key in self._beyond:
            yield f"the rollup of {key} is missing, of which requests are in the archive"


# -- The files -----------------------------------------------------------------------------------


def wrong_files() -> Iterator[str]:
    """Every file is fetched, and its bytes compared with what was signed."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="archive-", dir=settings.DATA_DIR) as home:
        path = Path(home, "file")
        for each in Checkpoint.objects.order_by("number"):
            signed = checkpoints.contents(each)["files"] if checkpoints.is_signed_by(each) else []
            for file in signed:
                yield from _faults(each, file, path)


def _faults(checkpoint: Checkpoint, file: dict[str, Any], path: Path) -> Iterator[str]:
    from hontoni import archive_files  # Arrow is 50 MB, which a worker seldom needs

    name = file["name"]
    try:
        archive_files.store().get(name, path)
    except Exception as error:  # whatever the storage has for it
        yield f"{checkpoint}: {name} is not to be had: {type(error).__name__}: {error}"
        return
    if archive_files.sha256(path) != file["sha256"]:
        yield f"{checkpoint}: {name} is not the file that was written"
