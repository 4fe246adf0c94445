"""What a new version of a price changes for customers, and whether it may begin when it shall.

Always true of every way in which a price is made (pages, lists, proposals, commands):

1. A price below what the vendor charges has a reason: the list's, and what it makes of customers'
   own ones (losses.py).
2. A rise begins `MODEL_PRICE_NOTICE_DAYS` from now, and its customers are told at once. It may
   begin sooner only with a reason; then they are told all the same.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext

from gateway.catalogue import bucket_labels
from gateway.catalogue.costs import margins
from gateway.catalogue.features.models import WHOLE, FeaturePrice
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import losses
from hontoni import money
from hontoni.errors import BadRequest

LONG = tuple(f"long_{bucket}" for bucket in BUCKETS)


Priced = Price | FeaturePrice
PER_CALL, TIMES = "per_call", "times"


class Step(NamedTuple):
    """One bucket of two versions. Nano-dollars per million tokens; None: there was none. Of a
    feature: a call, in nano-dollars, or what a dollar of tokens comes to by its factor."""

    bucket: str
    before: int | None
    after: int

    @property
    def rises(self) -> bool:
        return self.before is not None and self.after > self.before

    @property
    def percent(self) -> str:
        return gettext("new") if self.before is None else money.change(self.before, self.after)

    @property
    def label(self) -> str:
        return bucket_labels.label(self.bucket)


def steps(before: Priced | None, after: Priced) -> list[Step]:
    """Side by side, whatever has changed or not."""
    if isinstance(after, FeaturePrice):
        assert isinstance(before, FeaturePrice)
        return _steps_of_feature(before, after)
    assert before is None or isinstance(before, Price)
    names: tuple[str, ...] = BUCKETS
    if after.long_context_above is not None or (before and before.long_context_above is not None):
        names += LONG
    return [
        Step(name, rate(before, name) if before else None, rate(after, name)) for name in names
    ]


def _steps_of_feature(before: FeaturePrice, after: FeaturePrice) -> list[Step]:
    found = [Step(PER_CALL, before.per_call, after.per_call)]
    times = (money.DOLLAR * each.times // WHOLE for each in (before, after))
    found.append(Step(TIMES, *times))
    changing = [step for step in found if step.before != step.after]
    return changing or [step for step in found if (step.bucket == TIMES) == (after.times != WHOLE)]


def rate(price: Price, name: str) -> int:
    """What is paid for a bucket, or `long_` of one, which may have no price of its own."""
    found: int | None = getattr(price, name)
    short: int = getattr(price, name.removeprefix("long_"))
    return short if found is None else found


def rises(before: Priced | None, after: Priced) -> bool:
    """Whether any request can cost more: also one that is long from fewer tokens on."""
    if before is None:
        return False
    if isinstance(after, FeaturePrice):
        assert isinstance(before, FeaturePrice)
        return after.is_dearer_than(before)
    assert isinstance(before, Price)
    if any(step.rises for step in steps(before, after)):
        return True
    sooner = (after.long_context_above or 0) < (before.long_context_above or 0)
    dearer = any(rate(after, name) > rate(before, name.removeprefix("long_")) for name in LONG)
    return sooner and after.long_context_above is not None and dearer


def notice() -> timedelta:
    """How long before it binds a rise is told."""
    return timedelta(days=settings.MODEL_PRICE_NOTICE_DAYS)


def check(before: Priced | None, after: Priced, now: datetime) -> None:
    """Raises BadRequest for a price that breaks a rule above."""
    if after.reason:
        return
    lost = margins.below(margins.earned(after))
    if lost:
        words = "; ".join(f"{each.label} {each}" for each in lost)
        raise BadRequest(
            "Below what the vendor charges: %(words)s. Say why.",
            param="reason",
            about={"words": words},
        )
    if isinstance(after, Price) and isinstance(before, Price | None):
        sold = list(losses.by_price(before, after))
        if sold:
            raise BadRequest(
                "Below what the vendor charges, for customers with prices of their own: "
                "%(words)s. Say why.",
                param="reason",
                about={"words": losses.words(sold)},
            )
    if rises(before, after) and after.effective_at < now + notice() - timedelta(minutes=5):
        raise BadRequest(
            "A rise is told %(days)s days before it binds. Begin it then, or say why not.",
            param="reason",
            about={"days": settings.MODEL_PRICE_NOTICE_DAYS},
        )
