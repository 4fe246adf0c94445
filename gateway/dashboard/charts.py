"""Stacked bars as SVG: geometry in whole numbers, drawn by templates/gateway/_chart.html.

Rendered here and not in the browser: no script, no style attribute, no layout shift.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.usage.series import Moment, Series, peak

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 720, 220, 64, 12, 24, 10
COLOURS = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """One series' part of one bar."""

    x: int
    y: int
    width: int
    height: int
    colour: int


@dataclass(frozen=True, slots=True)
class Bar:
    moment: Moment
    x: int
    width: int
    pieces: list[Piece]
    total: str
    parts: list[tuple[str, str]]
    labelled: bool
    url: str = ""  # of what is behind it
    earlier: int | None = None  # the height of what it is compared with, as a y
    earlier_total: str = ""

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Chart:
    bars: list[Bar]
    lines: list[tuple[int, str]]  # y, label
    legend: list[tuple[str, int, str]]  # name, colour, total
    hourly: bool = False
    earlier: str = ""  # what the bars are compared with adds up to
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def draw(
    along: Sequence[Moment],
    found: list[Series],
    show: Callable[[int], str],
    *,
    link: Callable[[Moment], str] | None = None,
    earlier: list[int] | None = None,
) -> Chart:
    """A chart of these series; `show` prints a value, `link` leads from a bar to what is in it,
    `earlier` are the values that each bar is compared with."""
    top = nice(max(peak(found, len(along)), *(earlier or [0])))
    step = (WIDTH - LEFT - RIGHT) / len(along)
    width = max(2, round(step * 0.72))
    every = -(-len(along) // 8)  # a label under every bar would not fit
    bars = []
    for i, moment in enumerate(along):
        x = round(LEFT + i * step + (step - width) / 2)
        values = [each.values[i] for each in found]
        parts = [(each.name, show(each.values[i])) for each in found if each.values[i]]
        labelled = (len(along) - 1 - i) % every == 0
        pieces = _pieces(values, x, width, top)
        url = link(moment) if link is not None and parts else ""
        bar = Bar(moment, x, width, pieces, show(sum(values)), parts, labelled, url)
        bars.append(_compared(bar, earlier[i], top, show) if earlier else bar)
    lines = [(_y(top * part // 2, top), show(top * part // 2)) for part in range(3)]
    legend = [(s.name, i % COLOURS, show(sum(s.values))) for i, s in enumerate(found)]
    total = show(sum(earlier)) if earlier and any(earlier) else ""
    return Chart(bars, lines, legend, isinstance(along[0], datetime), total)


def _compared(bar: Bar, value: int, top: int, show: Callable[[int], str]) -> Bar:
    return replace(bar, earlier=_y(value, top), earlier_total=show(value)) if value else bar


def _y(value: int, top: int) -> int:
    room = HEIGHT - BOTTOM - TOP
    return HEIGHT - BOTTOM - (value * room // top if top else 0)


def _pieces(values: list[int], x: int, width: int, top: int) -> list[Piece]:
    pieces, below = [], 0
    for colour, value in enumerate(values):
        if value:
            upper = _y(below + value, top)
            height = max(1, _y(below, top) - upper)
            pieces.append(Piece(x, upper, width, height, colour % COLOURS))
            below += value
    return pieces


def nice(value: int) -> int:
    """The next 1, 2 or 5 times a power of ten, and at least 2: a scale with a round middle."""
    if value <= 2:
        return 2
    power = int("1" + "0" * (len(str(value)) - 1))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value)
