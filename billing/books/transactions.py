"""Everything that changed a balance, in one list, whether it is still in the database or in the
archive. The database is asked first; the archive only for the numbers that it lacks."""

from dataclasses import dataclass, field, replace
from itertools import islice

from django.db.models import QuerySet

from billing.books import archived
from billing.books.models import Entry, LedgerAccount, Transfer
from hontoni.errors import Unavailable

Kind = Transfer.Kind
KINDS = frozenset(Kind.values)
MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Transactions:
    """As much of an account's entries as pages ask for: an order, a position, a slice. Of these
    kinds, and with numbers from `first` to `last`."""

    account: LedgerAccount
    kinds: frozenset[str] = field(default=KINDS)
    first: int = 1
    last: int = MOST
    ascending: bool = False

    def order_by(self, name: str) -> "Transactions":
        """By number, from either end: `account_version` or `-account_version`."""
        return replace(self, ascending=name == "account_version")

    def filter(self, **position: object) -> "Transactions":
        """From a position on: `account_version__lt` or `…__gt`. Raises ValueError of what is no
        number."""
        ((name, value),) = position.items()
        number = int(str(value))
        if not abs(number) < MOST:
            raise ValueError(f"{number} is no entry's")
        if name == "account_version__lt":
            return replace(self, last=min(self.last, number - 1))
        return replace(self, first=max(self.first, number + 1))

    def __getitem__(self, part: slice) -> list[Entry]:
        """Raises Unavailable where the archive is needed and away."""
        kept = list(self.kept()[: part.stop])
        if Kind.USAGE not in self.kinds:
            return kept[part.start :]
        first, last = self._between(kept, part.stop)
        with archived.reading():
            gone = archived.entries(
                self.account, first, last, most=part.stop, ascending=self.ascending
            )
            found = list(islice(gone, part.stop))
        both = [*kept, *found]
        both.sort(key=lambda entry: entry.account_version, reverse=not self.ascending)
        return both[part.start : part.stop]

    def page(self, most: int) -> tuple[list[Entry], bool]:
        """So many of them; and whether the archive is away, so that only the database's are
        among them."""
        try:
            return self[:most], False
        except Unavailable:
            return list(self.kept()[:most]), True

    def kept(self) -> QuerySet[Entry]:
        """Those in the database."""
        found = Entry.objects.filter(
            account=self.account, account_version__range=(self.first, self.last)
        )
        if Kind.USAGE not in self.kinds:  # an index has the others
            found = found.exclude(transfer__kind=Kind.USAGE)
        if self.kinds not in (KINDS, KINDS - {Kind.USAGE}):
            found = found.filter(transfer__kind__in=self.kinds)
        order = "account_version" if self.ascending else "-account_version"
        return found.select_related("transfer").order_by(order)

    def _between(self, kept: list[Entry], most: int) -> tuple[int, int]:
        """The numbers that are listed before the page is full."""
        if len(kept) < most:
            return self.first, self.last
        edge = kept[-1].account_version
        return (self.first, edge) if self.ascending else (edge, self.last)
