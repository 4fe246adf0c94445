"""The arithmetic of time and money, without a server."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.stripe import lines, periods
from sandbox.stripe.tax import taxed

MONTHLY = {"interval": "month", "interval_count": 1}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_months_end_on_the_anchors_day_or_the_last_one() -> None:
    anchor = at("2027-01-31T10:00:00")
    ends = [periods.boundary(anchor, MONTHLY, n) for n in range(1, 5)]
    assert ends == [at(f"2027-{d}T10:00:00") for d in ("02-28", "03-31", "04-30", "05-31")]
    leap = periods.boundary(at("2024-02-29"), {"interval": "year", "interval_count": 1}, 1)
    assert leap == at("2025-02-28")
    fortnight = periods.boundary(anchor, {"interval": "week", "interval_count": 2}, 1)
    assert fortnight - anchor == 14 * 86_400


def test_half_a_period_is_half_the_price() -> None:
    assert lines.share(2000, 0, 100, 50) == 1000
    assert lines.share(2000, 0, 100, 0) == 2000
    assert lines.share(2000, 0, 100, 100) == 0
    assert lines.share(1, 0, 2, 1) == 1  # half a cent rounds up


@settings(max_examples=200)
@given(st.integers(0, 10**8), st.integers(1, 32 * 86_400), st.data())
def test_what_is_used_and_what_is_left_make_the_whole(
    amount: int, span: int, data: st.DataObject
) -> None:
    moment = data.draw(st.integers(0, span))
    left = lines.share(amount, 0, span, moment)
    assert 0 <= left <= amount
    assert abs(left * span - amount * (span - moment)) * 2 <= span


@settings(max_examples=200)
@given(st.integers(-(10**8), 10**8), st.integers(0, 5000))
def test_tax_is_never_lost(amount: int, rate: int) -> None:
    contained, added = taxed(amount, "inclusive", rate), taxed(amount, "exclusive", rate)
    assert contained.total == amount
    assert (added.net, added.total - added.tax) == (amount, amount)
    assert abs(added.tax * 10_000 - amount * rate) <= 5_000
