"""The names that are shipped: each means a model that is sold."""

import pytest
from django.db.models import F
from django.utils import timezone

from billing.books.models import AuditEntry
from gateway.catalogue import seed, snapshot
from gateway.catalogue.models import BUCKETS, Price
from hontoni.money import nanos


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
        # What Codex asks for, of two that are near the one that is not dearer.
        ("gpt-5.2-codex", "gpt-5.2-codex"),
        ("gpt-5.1-codex-max", "gpt-5.4"),
        ("gpt-6.1-sol", "gpt-5.4"),
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


def test_cached_input_has_a_price_of_its_own_on_every_model(sold: snapshot.Catalogue) -> None:
    """The vendor's discount, where the documentation gives none."""
    for model in sold.models.values():
        if not model.chats:
            continue
        fresh, cached, *_ = model.price.rates
        assert 0 < cached <= fresh // 2, model.id
    rates = {name: sold.models[name].price.rates[1] for name in ("gpt-4o", "gpt-4.1", "gpt-5.2")}
    assert rates == {
        "gpt-4o": nanos("1.25"), "gpt-4.1": nanos("0.50"), "gpt-5.2": nanos("0.50")
    }  # fmt: skip


def test_an_installation_of_before_gets_the_discount_but_not_over_staffs_price(db: None) -> None:
    seed.seed()
    Price.objects.filter(model_id__in=["gpt-5.2", "gpt-5.4"]).update(cache_read=F("input"))
    old = {price.model_id: price for price in Price.objects.all()}
    rates = {bucket: getattr(old["gpt-5.4"], bucket) for bucket in BUCKETS}
    Price.objects.create(model_id="gpt-5.4", **rates)
    seed.seed()
    seed.seed()
    new = Price.objects.filter(model_id="gpt-5.2").latest("effective_at")
    assert (new.cache_read, new.input) == (nanos("0.50"), nanos("5"))
    assert new.effective_at > timezone.now() and Price.objects.count() == 33
    assert AuditEntry.objects.get().after["changed"] == {"cache_read": "−90 %"}


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
