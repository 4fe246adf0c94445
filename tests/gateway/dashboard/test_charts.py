"""Bars in whole pixels."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.dashboard import charts
from gateway.usage.series import Moment, Series

WEEK: list[Moment] = [date(2026, 11, 16) + timedelta(days=n) for n in range(7)]
VALUES = st.lists(st.integers(0, 10**15), min_size=7, max_size=7)


def test_a_scale_ends_in_a_round_number() -> None:
    assert [charts.nice(n) for n in (0, 1, 3, 7, 20, 21, 999)] == [2, 2, 5, 10, 20, 50, 1000]


@given(st.lists(VALUES, max_size=8))
def test_bars_stay_inside_and_stack_without_a_gap(values: list[list[int]]) -> None:
    found = [Series(str(i), each) for i, each in enumerate(values)]
    chart = charts.draw(WEEK, found, str)
    assert len(chart.bars) == 7
    for i, bar in enumerate(chart.bars):
        assert bar.total == str(sum(each[i] for each in values))
        assert bar.x >= charts.LEFT and bar.x + bar.width <= charts.WIDTH
        for piece in bar.pieces:
            assert charts.TOP - len(values) <= piece.y
            assert piece.y + piece.height <= chart.floor + len(values)
            assert isinstance(piece.y, int) and piece.height >= 1
