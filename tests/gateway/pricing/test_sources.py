"""What public sources say: read in each one's shape, proposed, and accepted by staff."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.books.models import AuditEntry
from billing.mails.models import Notice
from gateway.catalogue import snapshot
from gateway.catalogue.costs.models import MarkUp, VendorPrice
from gateway.catalogue.models import BUCKETS, Alias, Model, Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.catalogue.seed import seed
from gateway.pricing import published
from gateway.pricing.models import Kind, Proposal, State
from gateway.pricing.sources import litellm, models_dev, openrouter, source_reading, vendors
from gateway.pricing.sources.listings import Unreadable
from gateway.usage.models import UsageHour
from gateway.vendors.models import Provider, Vendor
from hontoni.money import nanos
from tests.gateway.pricing.mirrors import dearer, edit
from tests.gateway.usage.test_quarantine import staff
from tests.world import Person

LIST = "/admin/gateway/proposal/"


def copy(file: str) -> Any:
    return orjson.loads((source_reading.COPIES / file).read_bytes())


def opened(**which: Any) -> list[Proposal]:
    return list(Proposal.objects.filter(state=State.OPEN, **which))


def accept(row: Proposal, **chosen: str) -> Any:
    return catalogue().post(f"{LIST}{row.pk}/accept/", {"confirmed": "yes", **chosen})


def catalogue() -> Client:
    """Somebody with that role."""
    known = User.objects.filter(email="catalogue@example.com").first()
    if known is None:
        return staff("catalogue")
    client = Client()
    client.force_login(known)
    return client


# -- Each shape ----------------------------------------------------------------------------------


def test_every_source_says_the_same_of_one_model_in_its_own_units() -> None:
    rates = [nanos(each) for each in ("2.5", "0.25", "2.5", "2.5", "15", "15")]
    listings = [
        *models_dev.read(copy("models.dev.json")),
        *litellm.read(copy("litellm.json")),
        *openrouter.read(copy("openrouter.json")),
    ]
    found = [each for each in listings if each.name == "gpt-5.4"]
    assert [list(each.rates.values()) for each in found] == [rates] * 3
    for each in found[:2]:
        assert (each.long_above, each.long_rates["input"]) == (272_000, nanos("5"))
        assert each.long_rates["output"] == nanos("22.5")
    assert [each.trusted for each in found] == [True, True, False]


def test_what_is_no_model_of_ours_is_passed_over() -> None:
    names = {each.name for each in litellm.read(copy("litellm.json"))}
    assert not names & {"sample_spec", "text-embedding-3-small"}
    assert all(each.vendor != "azure" for each in litellm.read(copy("litellm.json")))
    assert "llama-4" not in {each.name for each in openrouter.read(copy("openrouter.json"))}


def test_the_vendors_tell_which_models_end() -> None:
    ends = {each.name: each.ends for each in vendors.openai(copy("openai.json"))}
    assert (ends["gpt-4o"], ends["gpt-5.4"]) == (date(2027, 1, 14), None)
    windows = {each.name: each.context for each in vendors.google(copy("google.json"))}
    assert windows["gemini-2.5-pro"] == 1_048_576
    assert len(list(vendors.anthropic(copy("anthropic.json")))) > 5


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (models_dev.read, []),
        (models_dev.read, {"openai": {"models": {"x": {"cost": {"input": "a", "output": 1}}}}}),
        (litellm.read, {"x": 3}),
        (litellm.read, {"x": {"litellm_provider": "openai", "mode": "chat",
                              "input_cost_per_token": -1, "output_cost_per_token": 1e-6}}),
        (openrouter.read, {"data": {}}),
        (vendors.openai, {"data": [1]}),
        (models_dev.read, {"openai": {"models": {"x": {"cost": {"input": 3e9, "output": 1}}}}}),
    ],
)  # fmt: skip
def test_what_is_of_no_known_shape_is_refused(read: Any, body: Any) -> None:
    with pytest.raises(Unreadable):
        list(read(body))


# -- Proposals -----------------------------------------------------------------------------------


def test_the_first_start_knows_costs_ends_and_newer_models(mirror: Path) -> None:
    assert VendorPrice.objects.count() == 22 and MarkUp.objects.count() == len(Vendor)
    assert VendorPrice.objects.get(model_id="gpt-5.4-mini").output == nanos("4.5")
    ending = dict(Model.objects.exclude(ends_at=None).values_list("pk", "ends_at"))
    proposed = {row.model_id for row in opened(kind=Kind.END)}
    assert {"claude-sonnet-4", "claude-sonnet-4.5", "gpt-5.2-codex"} <= proposed
    assert len(ending) + len(proposed) == 11 and ending.keys().isdisjoint(proposed)
    soon = timezone.now() + published.NOTICE
    assert all(end and end > soon for end in ending.values())
    for model in Model.objects.filter(pk__in=ending):
        assert model.successor_id and not (model.redirects and model.pk == "gpt-4o"), "dearer"
    new = {row.name for row in opened(kind=Kind.NEW_MODEL)}
    assert {"claude-opus-5-5", "gpt-6.1-sol", "claude-haiku-5-5", "gemini-3.8-flash"} <= new
    below = {row.model_id for row in opened(kind=Kind.BELOW_COST)}
    assert {"gpt-5.4", "gpt-5.4-mini", "gemini-3-flash-preview"} <= below
    assert Model.objects.filter(active=True).count() == 31, "nothing applies itself"
    before = Proposal.objects.count()
    published.seed()
    assert Proposal.objects.count() == before


def test_a_published_end_is_not_written_over_what_staff_know(mirror: Path) -> None:
    later = timezone.now() + timedelta(days=900)
    Model.objects.filter(pk="gpt-4o").update(ends_at=None)
    Model.objects.filter(pk="gpt-4.1").update(ends_at=later)
    published.seed()
    assert Model.objects.get(pk="gpt-4o").ends_at is None
    assert Model.objects.get(pk="gpt-4.1").ends_at == later


def test_what_has_ended_elsewhere_is_only_proposed_and_ends_when_that_is_told(
    db: None, alice: Person
) -> None:
    seed()
    published.seed()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    UsageHour.objects.create(user=alice.user, api_key=alice.key, hour=hour, model="gpt-5.2-codex")
    assert Model.objects.get(pk="gpt-5.2-codex").ends_at is None
    (row,) = (row for row in opened(kind=Kind.END) if row.model_id == "gpt-5.2-codex")
    assert (row.model_id, row.facts["ends"]) == ("gpt-5.2-codex", "2026-07-23")
    assert accept(row).status_code == 302
    ends_at = Model.objects.get(pk="gpt-5.2-codex").ends_at
    assert ends_at is not None and ends_at > timezone.now() + timedelta(hours=23)
    assert Notice.objects.get(kind="model_ends").facts["model"] == "gpt-5.2-codex"
    call_command("catalogue", "sync", "--offline")
    assert not [row for row in opened(kind=Kind.END) if row.model_id == "gpt-5.2-codex"]


@pytest.mark.any_database
def test_models_of_every_vendor_are_compared_where_somebody_sells_them(mirror: Path) -> None:
    """Of DeepSeek nothing is proposed until a provider of theirs is switched on."""
    given = {"input": 0.28, "output": 0.42, "cache_read": 0.028}
    whale = {
        "name": "DeepSeek V9",
        "cost": given,
        "release_date": f"{timezone.now():%Y-%m-%d}",
        "limit": {"context": 128_000, "output": 64_000},
    }
    edit(mirror / "models.dev.json", lambda body: body.update(
        deepseek={"models": {"deepseek-v9": whale}}
    ))  # fmt: skip
    edit(mirror / "litellm.json", lambda body: body.update({
        "deepseek/deepseek-v9": {
            "litellm_provider": "deepseek",
            "mode": "chat",
            "input_cost_per_token": 0.28e-6,
            "output_cost_per_token": 0.42e-6,
            "cache_read_input_token_cost": 0.028e-6,
        },
    }))  # fmt: skip
    call_command("catalogue", "sync")
    assert not opened(vendor="deepseek")
    Provider.objects.create(name="whale", vendor="deepseek", base_url="https://api.deepseek.com")
    call_command("catalogue", "sync")
    (row,) = opened(vendor="deepseek", name="deepseek-v9")
    assert (row.kind, row.facts["cost"]["cache_read"]) == (Kind.NEW_MODEL, "0.028")
    assert accept(row).status_code == 302
    model = Model.objects.get(pk="deepseek-v9")
    assert (model.vendor, model.dialect) == ("deepseek", "openai_chat")
    assert VendorPrice.objects.get(model=model).output == nanos("0.42")


def test_a_risen_cost_becomes_a_price_after_its_notice(mirror: Path, alice: Person) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    UsageHour.objects.create(user=alice.user, api_key=alice.key, hour=hour, model="gpt-5.2")
    dearer(mirror, "gpt-5.2", 28.0, "models.dev.json", "litellm.json")
    call_command("catalogue", "sync")
    (row,) = opened(kind=Kind.COST, model="gpt-5.2")
    assert row.facts["cost"]["output"] == "28.00" and row.facts["present"]["output"] == "14.00"
    price = Price.objects.filter(model_id="gpt-5.2").latest("effective_at")
    assert price.output == nanos("20"), "a proposal changes nothing"
    page = staff("support").get(f"{LIST}{row.pk}/accept/")
    assert page.status_code == 403
    now = timezone.now()
    assert accept(row).status_code == 302
    cost = VendorPrice.objects.filter(model_id="gpt-5.2").latest("since")
    assert (cost.output, cost.since) == (nanos("28"), now.date())
    assert "models.dev" in cost.source and "LiteLLM" in cost.source
    price = Price.objects.filter(model_id="gpt-5.2").latest("effective_at")
    assert price.output == nanos("32.2") and price.input == nanos("2.013")
    assert timedelta(days=14) <= price.effective_at - now < timedelta(days=14, minutes=1)
    assert Notice.objects.get().user == alice.user
    entry = AuditEntry.objects.get(action="accept proposal")
    assert entry.after["facts"]["cost"]["output"] == "28.00"
    call_command("catalogue", "sync")
    assert opened(kind=Kind.COST, model="gpt-5.2") == []


def test_sources_that_disagree_are_shown_and_staff_choose(mirror: Path) -> None:
    dearer(mirror, "gpt-5.2", 16.0, "models.dev.json")
    dearer(mirror, "gpt-5.2", 17.0, "litellm.json")
    for _ in range(2):
        call_command("catalogue", "sync")
        (row,) = opened(kind=Kind.DISAGREEMENT)
    assert {name: cost["output"] for name, cost in row.facts["choices"].items()} == {
        "models.dev": "16.00",
        "LiteLLM": "17.00",
    }
    page = catalogue().get(f"{LIST}{row.pk}/accept/").content.decode()
    assert "$16.00" in page and "$17.00" in page
    from gateway.pricing import accepting

    with pytest.raises(Exception, match="Choose LiteLLM or models.dev"):
        accepting.accept(row.pk, actor="tests")
    accepting.accept(row.pk, actor="tests", source="LiteLLM")
    cost = VendorPrice.objects.filter(model_id="gpt-5.2").latest("since")
    assert (cost.output, cost.source) == (nanos("17"), "LiteLLM")


def test_what_was_declined_comes_back_only_when_something_else_is_said(mirror: Path) -> None:
    dearer(mirror, "gpt-5.2", 15.0, "models.dev.json", "litellm.json")
    call_command("catalogue", "sync")
    (row,) = opened(kind=Kind.COST, model="gpt-5.2")
    client = catalogue()
    client.post(LIST, {"action": "decline", "_selected_action": row.pk})
    call_command("catalogue", "sync")
    assert opened(kind=Kind.COST, model="gpt-5.2") == []
    dearer(mirror, "gpt-5.2", 15.5, "models.dev.json", "litellm.json")
    call_command("catalogue", "sync")
    assert len(opened(kind=Kind.COST, model="gpt-5.2")) == 1
    dearer(mirror, "gpt-5.2", 14.0, "models.dev.json", "litellm.json")
    call_command("catalogue", "sync")
    assert opened(kind=Kind.COST, model="gpt-5.2") == [], "it is no longer so"


def test_a_new_model_is_sold_when_it_is_accepted_and_its_names_mean_it(mirror: Path) -> None:
    assert snapshot.load().resolve("claude-haiku-5-5")[0].id == "claude-haiku-4.5"
    (row,) = opened(name="claude-haiku-5-5")
    assert accept(row).status_code == 302
    sold = snapshot.load()
    for name in ("claude-haiku-5-5", "claude-haiku-5.5", "anthropic/claude-haiku-5-5"):
        model, _ = sold.resolve(name)
        assert model.id == "claude-haiku-5.5" and model.upstream_id == "claude-haiku-5-5"
    price = sold.models["claude-haiku-5.5"].price
    assert price.rates[0] == nanos("0.115") and price.long_context_above == 100_000
    assert Alias.objects.get(name="claude-haiku-5-5").model_id == "claude-haiku-5.5"
    assert accept(row).status_code == 200, "once"


def test_below_cost_is_proposed_and_mended_unless_staff_said_why(mirror: Path) -> None:
    (row,) = opened(kind=Kind.BELOW_COST, model="gpt-5.4")
    page = catalogue().get(f"{LIST}{row.pk}/accept/").content.decode()
    assert "$12.00" in page and "$17.25" in page and "+43.8 %" in page
    assert accept(row).status_code == 302
    price = Price.objects.filter(model_id="gpt-5.4").latest("effective_at")
    assert (price.input, price.output) == (nanos("3"), nanos("17.25"))
    assert price.effective_at > timezone.now() + timedelta(days=13)
    call_command("catalogue", "sync")
    assert opened(kind=Kind.BELOW_COST, model="gpt-5.4") == []


def test_a_source_that_is_away_or_mad_keeps_nobody_from_the_others(
    mirror: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mirror / "litellm.json").write_bytes(b"<html>")
    (mirror / "openrouter.json").unlink()
    dearer(mirror, "gpt-5.2", 15.0, "models.dev.json")
    there = {row.pk for row in opened()}
    call_command("catalogue", "sync")
    errors = capsys.readouterr().err
    assert "left out: LiteLLM" in errors and "OpenRouter" in errors
    assert len(opened(kind=Kind.COST, model="gpt-5.2")) == 1 and there <= {
        row.pk for row in opened()
    }


def test_the_copies_need_no_internet(db: None, settings: Settings) -> None:
    settings.CATALOGUE_MIRROR = "http://127.0.0.1:9"
    seed()
    call_command("catalogue", "sync", "--offline")
    assert Proposal.objects.filter(kind=Kind.NEW_MODEL).count() >= 8


def test_staff_read_the_sources_from_a_page(mirror: Path) -> None:
    client = catalogue()
    assert client.get(f"{LIST}sync/").status_code == 200
    dearer(mirror, "gpt-5.2", 15.0, "models.dev.json", "litellm.json")
    answer = client.post(f"{LIST}sync/", {"confirmed": "yes"}, follow=True).content.decode()
    assert "1 new proposals" in answer and "changed price of the vendor" in answer


# -- The copies that come with the product -------------------------------------------------------


def test_the_copies_are_made_of_the_sources_answers(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is old and not sold is left out; a row that is kept is the source's own; made anew of
    themselves they stay as they are; an answer of another shape changes nothing."""
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(source_reading, "COPIES", copies)
    old = {"name": "Old", "release_date": "2023-01-01", "cost": {"input": 1, "output": 2}}
    edit(mirror / "models.dev.json", lambda b: b["openai"]["models"].update({"gpt-3": old}))
    edit(mirror / "models.dev.json", lambda b: _row(b).update(description="long words"))
    call_command("catalogue", "copy", str(mirror), "--on", "2026-07-24")
    files = ("models.dev.json", "litellm.json", "openrouter.json")
    made = {file: orjson.loads((copies / file).read_bytes()) for file in files}
    assert "gpt-3" not in made["models.dev.json"]["openai"]["models"]
    given = orjson.loads((mirror / "models.dev.json").read_bytes())
    kept = _row(made["models.dev.json"])
    assert kept == {n: v for n, v in _row(given).items() if n != "description"}
    shipped = Path(source_reading.__file__).with_name("data")
    for file in files:
        assert made[file] == orjson.loads((shipped / file).read_bytes())
    (mirror / "litellm.json").write_bytes(b"<html>")
    before = {file: (copies / file).read_bytes() for file in files}
    with pytest.raises(CommandError, match="Nothing is written"):
        call_command("catalogue", "copy", str(mirror), "--on", "2026-07-24")
    assert before == {file: (copies / file).read_bytes() for file in files}


def _row(body: Any) -> Any:
    return body["openai"]["models"]["gpt-5.4"]


def test_a_customers_rates_below_the_new_cost_stay_for_a_reason_only(
    mirror: Path, alice: Person
) -> None:
    """The list is marked up; what was agreed is staff's to decide, where the cost is accepted."""
    rates = dict.fromkeys(BUCKETS, nanos("16"))
    CustomerPrice.objects.create(user=alice.user, model_id="gpt-5.2", **rates)
    dearer(mirror, "gpt-5.2", 28.0, "models.dev.json", "litellm.json")
    call_command("catalogue", "sync")
    (row,) = opened(kind=Kind.COST, model="gpt-5.2")
    refused = accept(row).content.decode()
    assert "Below cost with prices of their own" in refused and "output −$12.00" in refused
    assert opened(kind=Kind.COST, model="gpt-5.2") == [row]
    assert accept(row, reason="They stay until June.").status_code == 302
    entry = AuditEntry.objects.get(action="accept proposal")
    assert "They stay until June." in entry.after["written"]
