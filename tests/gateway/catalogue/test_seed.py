"""The names that are shipped: each means a model that is sold."""

import pytest

from gateway.catalogue import seed, snapshot


@pytest.fixture
def sold(db: None) -> snapshot.Catalogue:
    seed.seed()
    return snapshot.load()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        # What Claude Code asks for when nobody chose a model, and its words opus, sonnet, haiku.
        ("claude-opus-5-5", "claude-opus-4.6"),
        ("claude-sonnet-5-5", "claude-sonnet-4.6"),
        ("claude-haiku-5-5", "claude-haiku-4.5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        # Titles of OpenCode's sessions.
        ("gpt-5.4-nano", "gpt-5.4-mini"),
        ("gemini-3.8-flash", "gemini-3-flash-preview"),
        # Messages of aider's commits.
        ("gpt-5-nano", "gpt-5.4-mini"),
        # Prefixes, dates, case, and all at once.
        ("openai/gpt-4o", "gpt-4o"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gpt-5.1-2025-11-13", "gpt-5.1"),
        ("Anthropic/Claude-Opus-4-5-20251101:HIGH", "claude-opus-4.5"),
    ],
)
def test_a_clients_own_name_means_the_nearest_model(
    sold: snapshot.Catalogue, name: str, model: str
) -> None:
    assert sold.resolve(name)[0].id == model


def test_every_vendors_id_is_a_name_of_its_model(sold: snapshot.Catalogue) -> None:
    for model in sold.models.values():
        assert sold.resolve(model.upstream_id)[0] is model
        assert sold.resolve(f"{model.vendor}/{model.upstream_id}")[0] is model


def test_no_shipped_name_leads_nowhere(sold: snapshot.Catalogue) -> None:
    names = [name for names in sold.other_names().values() for name in names]
    assert set(seed._ALIASES) <= set(names)
    for model, others in sold.other_names().items():
        for name in others:
            assert sold.resolve(name)[0].id == model
