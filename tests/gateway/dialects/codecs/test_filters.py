from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.codecs.filters import Filter, Serial, Stop, Unfence
from gateway.dialects.codecs.fold import fold
from gateway.dialects.ir import (
    ArgsDelta,
    CallOpen,
    Close,
    Event,
    Finish,
    TextDelta,
    TextOpen,
    Usage,
    UsageSeen,
)
from tests.gateway.dialects.codecs import world


def through(filtering: Filter, events: list[Event]) -> list[Event]:
    return [after for event in events for after in filtering.feed(event)]


def said(filtering: Filter, text: str, cuts: list[int]) -> str:
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    deltas: list[Event] = [TextDelta(0, piece) for piece in pieces]
    events: list[Event] = [TextOpen(0), *deltas, Close(0)]
    return world.said(fold(through(filtering, events)))


cuts = st.lists(st.integers(0, 40), max_size=8)
letters = st.text("ab\n`", max_size=40)
stops = st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=3)


@given(letters, stops, cuts)
def test_a_text_ends_where_its_first_stop_is_complete(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    shown = said(Stop(tuple(stops)), text, cuts)
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not ends:
        assert shown == text
    else:
        assert any(text[len(shown) : min(ends)] == stop for stop in stops)


@given(letters, cuts)
def test_a_fence_is_seen_however_it_is_cut(text: str, cuts: list[int]) -> None:
    assert said(Unfence(), text, cuts) == said(Unfence(), text, [])
    body = text.replace("`", "")
    fenced = f"```json\n{body}x\n```\n"
    assert said(Unfence(), fenced, cuts) == f"{body}x"


def test_only_text_is_watched_and_usage_passes_after_the_stop() -> None:
    stop = Stop(("END",))
    calls: list[Event] = [CallOpen(0, "c", "f"), ArgsDelta(0, "END"), Close(0)]
    assert through(stop, calls) == calls
    ended = through(stop, [TextOpen(1), TextDelta(1, "END"), TextDelta(1, "more")])
    assert ended == [TextOpen(1), Close(1), Finish("stop_sequence", "", "END")]
    assert stop.feed(UsageSeen(Usage(1))) == [UsageSeen(Usage(1))]


@given(st.lists(st.integers(0, 2), max_size=20), st.permutations([0, 1, 2]))
def test_interleaved_calls_come_one_after_the_other(deltas: list[int], closes: list[int]) -> None:
    events: list[Event] = [CallOpen(i, str(i), "f") for i in range(3)]
    events += [ArgsDelta(i, f"{i}{at}.") for at, i in enumerate(deltas)]
    events += [*(Close(i) for i in closes), Finish("tool_calls")]
    serial = through(Serial(), events)
    assert fold(serial) == fold(events)
    current = -1
    for event in serial[:-1]:
        if isinstance(event, CallOpen):
            assert event.index == current + 1
            current = event.index
        else:
            assert getattr(event, "index", None) == current


def test_a_call_that_never_closed_is_still_told() -> None:
    events: list[Event] = [CallOpen(0, "a", "f"), CallOpen(1, "b", "g"), Finish("length")]
    assert through(Serial(), events) == events
