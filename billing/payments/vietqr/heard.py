"""What a gateway tells of money that came to our account, in one shape for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from billing.invoices.taxes import VIETNAM
from hontoni import errors

CALLBACK, POLL = "callback", "poll"
TOLERANCE = timedelta(minutes=5)  # of a signed callback's clock against ours


class Unanswered(errors.Unavailable):
    """A gateway did not answer, or not as it is documented."""

    code = "payments_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The payment provider does not answer. Nothing is lost: try again.",
            headers={"Retry-After": "5"},
        )


class Forged(errors.BadRequest):
    """No callback of the gateway's, or not meant for us, or an old one again."""

    status = 401
    code = "invalid_signature"


@dataclass(frozen=True, slots=True)
class Heard:
    """A transfer to our account, as a gateway tells it."""

    gateway: str
    gateway_id: str
    account: str
    reference: str
    dong: int
    content: str
    sent_at: datetime
    raw: Mapping[str, Any]
    number: int | None = None  # of the order, where the gateway knows it
    accounts: frozenset[str] = field(default=frozenset())  # all it names: a virtual one, too

    @property
    def identity(self) -> str:
        """The same for whoever tells of it: the bank's reference, which is one transfer of one
        account; where the bank gave none, everything that is said of it."""
        if self.reference:
            return f"{self.account}:{self.reference}"[:250]
        return f"{self.account}:{self.sent_at.isoformat()}:{self.dong}:{self.content}"[:250]


def moment(text: str) -> datetime:
    """When the bank says it was: "2026-12-01 08:30:00" in Vietnam, or ISO 8601. Raises
    ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=VIETNAM)


def whole(value: Any) -> int:
    """Whole dong, of a number or of its text ("18067000.00"). Raises ValueError for a part."""
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise ValueError(f"no amount: {value!r}")
    text, _, rest = str(value).partition(".")
    if rest.strip("0"):
        raise ValueError(f"a part of a dong: {value!r}")
    if len(text) > 18:
        raise ValueError(f"no amount: {text[:30]}")
    return int(text)


def kept(raw: Any) -> Any:
    """The same without a NUL in its texts, which Postgres keeps in none."""
    if isinstance(raw, str):
        return raw.replace("\0", "")
    if isinstance(raw, dict):
        return {kept(name): kept(value) for name, value in raw.items()}
    return [kept(each) for each in raw] if isinstance(raw, list) else raw
