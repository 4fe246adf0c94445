import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.codecs import carrier
from gateway.dialects.ir import Carrier
from tests.gateway.dialects.codecs import world

KEY = world.KEY
MINE = Carrier("anthropic", "claude-sonnet-4-5", "signature", "EqoB", ("a\u2028é",), "acct_1")


@given(st.text(), st.text(), st.lists(st.text()))
def test_what_is_sealed_opens_again(data: str, model: str, texts: list[str]) -> None:
    kept = Carrier("google", model, "thought_signature", data, tuple(texts))
    sealed = carrier.seal(kept, KEY)
    assert carrier.open(sealed, KEY) == kept
    assert carrier.seal(kept, KEY) == sealed


def test_a_sealed_carrier_is_safe_in_a_url() -> None:
    sealed = carrier.seal(MINE, KEY)
    assert sealed.startswith("hn1.")
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@pytest.mark.parametrize(
    "text", ["", "hn1.", "hn1.x", "hn1.x.y", "hn1.e30.e30", "EqoB", "hn1.é.é"]
)
def test_what_we_did_not_seal_is_foreign(text: str) -> None:
    assert carrier.open(text, KEY) is None


def test_a_changed_carrier_is_foreign() -> None:
    sealed = carrier.seal(MINE, KEY)
    assert carrier.open(sealed, b"another key") is None
    for at in range(4, len(sealed), 7):
        other = "A" if sealed[at] != "A" else "B"
        assert carrier.open(sealed[:at] + other + sealed[at + 1 :], KEY) is None


@pytest.mark.parametrize(
    ("model", "fields", "fits"),
    [
        ("claude-sonnet-4-5", {}, True),
        ("claude-sonnet-4-5", {"account": "acct_1"}, True),
        ("claude-sonnet-4-5", {"account": "acct_2"}, False),
        ("claude-opus-4-6", {}, False),
        ("gpt-5.2", {}, False),
    ],
    ids=str,
)
def test_a_secret_returns_to_who_made_it_only(
    model: str, fields: dict[str, str], fits: bool
) -> None:
    sealed = carrier.closed(carrier.seal(MINE, KEY), "", "")
    assert carrier.fitting([sealed], world.target(model, **fields)) == ([MINE] if fits else [])


def test_a_mark_without_a_secret_is_never_sent() -> None:
    plain = carrier.closed(carrier.seal(Carrier("", "", "plain", ""), KEY), "", "")
    assert carrier.fitting([plain], world.target("claude-sonnet-4-5")) == []
