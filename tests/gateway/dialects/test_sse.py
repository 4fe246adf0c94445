import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import sse
from gateway.dialects.sse import Frame, Splitter


def frames(*chunks: bytes) -> list[Frame]:
    splitter = Splitter()
    found = [frame for chunk in chunks for frame in splitter.feed(chunk)]
    return found + splitter.close()


HARD = (
    '\ufeff: hello\r\n\r\nevent: a\r\ndata:{"t":"a\u2028é"}\r\n\r\n'
    "data: one\rdata: two\r\r"
    "id: 7\nretry: 5\nevent: b\ndata: \n\n"
    "data: x\n\n\n\ndata: last\n\n"
).encode()
EXPECTED = [
    Frame("a", '{"t":"a\u2028é"}'.encode()),
    Frame("", b"one\ntwo"),
    Frame("b", b""),
    Frame("", b"x"),
    Frame("", b"last"),
]


def test_it_reads_every_line_ending_comment_and_field() -> None:
    assert frames(HARD) == EXPECTED


@pytest.mark.parametrize("cut", range(len(HARD) + 1), ids=lambda cut: f"#091-{cut}")
def test_it_does_not_care_where_chunks_end(cut: int) -> None:
    assert frames(HARD[:cut], HARD[cut:]) == EXPECTED


def test_it_reads_bytes_one_by_one() -> None:
    assert frames(*(HARD[i : i + 1] for i in range(len(HARD)))) == EXPECTED


def test_a_frame_is_given_as_soon_as_it_is_whole() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n\ndata: b\n") == [Frame("", b"a")]
    assert splitter.feed(b"\n") == [Frame("", b"b")]


def test_a_stream_of_lone_carriage_returns_is_not_held_back() -> None:
    assert Splitter().feed(b"data: a\r\r") == [Frame("", b"a")]


def test_the_last_event_needs_no_empty_line() -> None:
    assert frames(b"data: [DONE]") == [Frame("", b"[DONE]")]


def test_an_event_without_data_is_no_event() -> None:
    assert frames(b"event: ping\n\n: comment\n\n") == []


def test_five_megabytes_in_one_line_are_read() -> None:
    text = b"x" * 5_000_000
    whole = sse.encode("", text)
    assert frames(*(whole[i : i + 65536] for i in range(0, len(whole), 65536))) == [
        Frame("", text)
    ]


def test_a_line_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LIMIT", 1000)
    splitter = Splitter()
    with pytest.raises(sse.TooLong):
        for _ in range(200):
            splitter.feed(b"data: never")


def test_it_encodes_one_data_line() -> None:
    assert sse.encode("ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert sse.encode("", b"[DONE]") == b"data: [DONE]\n\n"


@given(
    st.lists(st.tuples(st.sampled_from(["", "ping", "é"]), st.text())),
    st.lists(st.integers(0, 400)),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_is_encoded_is_split_again(
    events: list[tuple[str, str]], cuts: list[int], ending: str
) -> None:
    sent = [(name, text.replace("\r", "").replace("\n", "").encode()) for name, text in events]
    whole = b"".join(sse.encode(name, data) for name, data in sent)
    whole = whole.replace(b"\n", ending.encode())
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    chunks = (whole[a:b] for a, b in zip(edges, edges[1:], strict=False))
    assert frames(*chunks) == [Frame(name, data) for name, data in sent]
