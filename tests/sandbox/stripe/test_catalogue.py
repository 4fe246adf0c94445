"""Products, prices, search, the account, and what every call has in common."""

import contextlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import stripe

from sandbox.stripe import create_app
from sandbox.stripe.wiring import ROUTES
from tests.sandbox.stripe.conftest import KEY, World, client
from tests.sandbox.stripe.running import Loop, Running
from tests.sandbox.stripe.test_payment_intents import pay
from tests.sandbox.stripe.test_subscriptions import Shop


def test_products_and_prices_are_made_found_and_retired(world: World) -> None:
    product = world.stripe.products.create({"id": "plan_basic", "name": "Basic"})
    fields = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    price = world.stripe.prices.create(
        {"product": product.id, "lookup_key": "basic", **fields}, {"idempotency_key": "p"}
    )
    assert (price.recurring.interval, price.type) == ("month", "recurring")
    found = world.stripe.prices.list({"lookup_keys": ["basic"], "active": True, "limit": 1}).data
    assert [p.id for p in found] == [price.id]
    world.stripe.prices.update(price.id, {"active": False, "nickname": "old"})
    assert world.stripe.prices.list({"active": True}).data == []
    world.stripe.products.update(product.id, {"active": False, "description": "x"})
    assert world.stripe.products.list({"active": True}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.products.delete(product.id)
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.products.create({"id": "plan_basic", "name": "Again"})
    spare = world.stripe.products.create({"name": "Spare"})
    assert world.stripe.products.delete(spare.id).deleted


def test_a_lookup_key_moves_only_when_asked(world: World) -> None:
    fields = {"currency": "usd", "unit_amount": 1, "product_data": {"name": "A"}}
    first = world.stripe.prices.create(fields | {"lookup_key": "k"})
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.prices.create(fields | {"lookup_key": "k"})
    world.stripe.prices.create(fields | {"lookup_key": "k", "transfer_lookup_key": True})
    assert world.stripe.prices.retrieve(first.id).lookup_key is None


def test_payments_are_found_by_their_metadata(world: World) -> None:
    wanted = pay(world, metadata={"topup": "7"})
    pay(world, metadata={"topup": "8"})
    search = world.stripe.payment_intents.search
    found = search({"query": "metadata['topup']:'7' AND status:'succeeded'"})
    assert [intent.id for intent in found.data] == [wanted.id]
    assert len(search({"query": "amount>2000", "limit": 1}).data) == 1
    assert [i.amount for i in search({"query": "amount>2000", "limit": 1}).auto_paging_iter()] == [
        2500,
        2500,
    ]
    assert len(search({"query": '-metadata["topup"]:"7"'}).data) == 1
    with pytest.raises(stripe.InvalidRequestError):
        search({"query": "what is this"})


def test_the_account_is_in_test_mode_and_open(world: World) -> None:
    account = world.stripe.accounts.retrieve_current()
    assert account.charges_enabled and account.country == "US"
    assert world.stripe.accounts.retrieve(account.id).id == account.id


def test_setup_intents_save_a_card(world: World) -> None:
    alice = world.stripe.customers.create({})
    fields = {"customer": alice.id, "payment_method": "pm_card_visa", "confirm": True}
    intent = world.stripe.setup_intents.create(fields | {"metadata": {"a": "b"}})
    assert intent.status == "succeeded"
    assert world.stripe.payment_methods.retrieve(intent.payment_method).customer == alice.id
    waiting = world.stripe.setup_intents.create({"customer": alice.id})
    assert world.stripe.setup_intents.update(waiting.id, {"description": "x"}).description == "x"
    asked = world.stripe.setup_intents.confirm(
        waiting.id,
        {"payment_method": "pm_card_authenticationRequired", "return_url": "https://a.example"},
    )
    world.browser.post(asked.next_action.redirect_to_url.url, data={"answer": "complete"})
    assert world.stripe.setup_intents.retrieve(waiting.id).status == "succeeded"
    third = world.stripe.setup_intents.create({})
    assert world.stripe.setup_intents.cancel(third.id).status == "canceled"
    with pytest.raises(stripe.CardError):
        world.stripe.setup_intents.create(fields | {"payment_method": "pm_card_chargeDeclined"})
    assert len(world.stripe.setup_intents.list({"customer": alice.id}).data) == 3


def test_charges_are_listed_and_annotated(world: World) -> None:
    intent = pay(world)
    charge = world.stripe.charges.update(intent.latest_charge, {"description": "x"})
    assert charge.description == "x"
    [listed] = world.stripe.charges.list({"payment_intent": intent.id}).data
    assert listed.id == charge.id
    assert "Receipt" in world.browser.get(charge.receipt_url).text


def test_expansion_goes_down_four_levels_and_says_where_it_cannot(world: World) -> None:
    alice = world.stripe.customers.create({})
    pay(world, customer=alice.id)
    found = world.stripe.payment_intents.list(
        {"expand": ["data.latest_charge.payment_intent.customer"]}
    )
    assert found.data[0].latest_charge.payment_intent.customer.id == alice.id
    shown = ["sources", "subscriptions.data.items", "tax_ids"]
    expanded = world.stripe.customers.retrieve(alice.id, {"expand": shown})
    assert expanded.sources.data == expanded.subscriptions.data == []
    fields = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "A"}}
    price = world.stripe.prices.create(fields | {"expand": ["currency_options", "tiers"]})
    assert price.currency_options["usd"].unit_amount == 700 and "tiers" not in price
    assert world.stripe.products.features.list(price.product).data == []
    for path in ("data.amount_wrong", "data.a.b.c.d.e"):
        with pytest.raises(stripe.InvalidRequestError):
            world.stripe.payment_intents.list({"expand": [path]})


@pytest.mark.parametrize("key", ["", "nonsense", "sk_live_0123456789abcdef", "pk_test_01234567"])
def test_only_a_test_key_opens_the_account(world: World, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = httpx.get(f"{world.url}/v1/customers", headers=headers)
    assert answer.status_code == 401 and answer.headers["request-id"].startswith("req_")
    assert httpx.post(f"{world.url}/_control/advance", json={"seconds": 1}).status_code == 401


def test_the_key_may_come_as_basic_and_be_fixed(loop: Loop) -> None:
    with Running(create_app(api_key="sk_test_theOnlyOne1"), loop) as server:
        assert httpx.get(f"{server.url}/v1/account", auth=("sk_test_theOnlyOne1", "")).is_success
        with pytest.raises(stripe.AuthenticationError):
            client(server.url, KEY).v1.customers.list()


def test_another_major_version_is_refused(world: World) -> None:
    headers = {"Stripe-Version": "2024-06-20"}
    answer = world.http.get("/v1/customers", headers=headers)
    assert answer.status_code == 400 and "2024-06-20" in answer.json()["error"]["message"]
    assert world.http.get("/v1/customers", headers={"Stripe-Version": "2026-05-27.dahlia"})
    assert world.http.get("/v1/customers").headers["stripe-version"] == stripe.api_version


def test_an_unknown_path_or_a_json_body_is_refused(world: World) -> None:
    assert world.http.get("/v1/unicorns").json()["error"]["type"] == "invalid_request_error"
    assert world.http.post("/v1/customers", json={"name": "A"}).status_code == 400
    assert world.http.get("/v1/customers", params={"limit": 101}).status_code == 400
    assert world.http.post("/v1/customers", data={"a[b": "c"}).status_code == 400


def sdk_params() -> dict[tuple[str, str], set[str]]:
    """What the SDK's types say each route takes: (method, path) -> names."""
    found: dict[tuple[str, str], set[str]] = {}
    root = Path(stripe.__file__).parent
    for module in root.rglob("_*_service.py"):
        types = importlib.import_module(
            ".".join(("stripe.params", *module.relative_to(root).parent.parts))
        )
        for method in re.split(r"\n    def ", module.read_text()):
            params = re.search(r'params: (?:Optional\[)?"(\w+)"', method)
            call = re.search(r'_request\(\s*"(\w+)",\s*"([^"]+)"', method)
            if params and call:
                path = re.sub(r"\{\w+\}", "{}", call[2])
                found[call[1].upper(), path] = set(getattr(types, params[1]).__annotations__)
    return found


def test_every_parameter_taken_is_one_of_stripes() -> None:
    known = sdk_params()
    checked = 0
    for route in ROUTES:
        key = route.method, re.sub(r"\{\w+\}", "{}", route.path)
        if key in known:
            assert set(route.takes.split()) <= known[key], key
            checked += 1
    assert checked > 80
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_a_restart_keeps_everything(tmp_path: Path, loop: Loop) -> None:
    path = tmp_path / "stripe.json"
    fields = {"name": "A"}
    with (
        Running(create_app(state_path=path), loop) as server,
        contextlib.closing(World(server)) as world,
    ):
        made = world.stripe.customers.create(fields, {"idempotency_key": "k"})
        world.advance(days=3)
        server.app.state.simulator.save()
    with (
        Running(create_app(state_path=path), loop) as server,
        contextlib.closing(World(server)) as world,
    ):
        assert world.stripe.customers.retrieve(made.id).name == "A"
        assert world.stripe.customers.create({"name": "B"}).created - made.created >= 3 * 86_400
        assert world.event_types() == ["customer.created", "customer.created"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_endpoint_can_be_configured_at_the_start(loop: Loop, tmp_path: Path) -> None:
    fields = {"webhook_url": "http://127.0.0.1:9/hook", "webhook_secret": "whsec_a"}
    for _ in range(2):
        app = create_app(state_path=tmp_path / "s.json", **fields)
        app.state.simulator.dirty = True
        app.state.simulator.save()
    [endpoint] = app.state.simulator.store.all("webhook_endpoint")
    assert (endpoint["url"], endpoint["_secret"]) == (fields["webhook_url"], "whsec_a")
    with pytest.raises(ValueError, match="webhook_secret"):
        create_app(webhook_url="http://127.0.0.1:9/hook")


def test_behind_a_proxy_every_link_has_its_prefix(loop: Loop) -> None:
    public = "https://sandbox.example/stripe"
    with (
        Running(create_app(public_url=public), loop) as server,
        contextlib.closing(World(server)) as world,
    ):
        shop = Shop(world)
        invoice = shop.subscribe().latest_invoice
        portal = shop.stripe.billing_portal.sessions.create({"customer": shop.alice})
        assert invoice.invoice_pdf == f"{public}/invoices/{invoice.id}/pdf"
        assert portal.url.startswith(f"{public}/portal/bps_")
        page = world.browser.get(portal.url.removeprefix(public)).text
        assert f'href="../invoices/{invoice.id}"' in page and 'href="/' not in page


def test_it_runs_as_a_program_and_remembers(tmp_path: Path) -> None:
    state, made = tmp_path / "stripe.json", ""
    for _ in range(2):
        command = [sys.executable, "-m", "sandbox.stripe", "--port", "0"]
        with subprocess.Popen(
            [*command, "--state", str(state)], stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            url = next(m[1] for line in lines if (m := re.search(r"running on (\S+)", line)))
            headers = {"Authorization": f"Bearer {KEY}"}
            if made:
                found = httpx.get(f"{url}/v1/customers/{made}", headers=headers)
                assert found.json()["name"] == "A"
            made = httpx.post(f"{url}/v1/customers", headers=headers, data={"name": "A"}).json()[
                "id"
            ]
            process.terminate()
            process.stderr.read()
