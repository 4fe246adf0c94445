"""dj-stripe's copy of Stripe's objects: whole, fresh, harmless."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.payments import tasks
from billing.stripe import mirror
from billing.stripe.models import StripeEvent
from hontoni.money import nanos
from tests import prepared
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance
from tests.billing.subscriptions.test_card_changes import subscribed

ROOT = Path(__file__).parents[3]


@pytest.fixture
def mirrored(settings: Settings, transactional_db: None) -> Iterator[None]:
    settings.STRIPE_MIRROR = True
    yield
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        tables = [model._meta.db_table for model in apps.get_app_config("djstripe").get_models()]
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        else:
            for table in tables:
                cursor.execute(f"DELETE FROM {table}")


def kept(kind: str) -> Any:
    return mirror.models()[kind].objects.order_by("created")


@committed
def test_every_object_an_event_is_about_is_kept(mirrored: None, shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob, "premium")
    order = shop.top_up(bob)
    shop.refund(order, 500)
    shop.deliver()
    assert StripeEvent.objects.filter(mirrored_at=None).count() == 0
    (subscription,) = kept("subscription")
    assert (subscription.id, subscription.stripe_data["status"]) == (mine.stripe_id, "active")
    assert {intent.stripe_data["amount"] for intent in kept("payment_intent")} == {3900, 2500}
    assert {charge.id for charge in kept("charge")} >= {kept("refund").get().stripe_data["charge"]}
    assert kept("customer").get().id == bob.stripe_customer.stripe_id
    assert [len(kept(kind)) for kind in ("invoice", "checkout.session", "product")] == [2, 2, 2]


@committed
def test_what_is_kept_is_what_stripe_has_now(mirrored: None, shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    shop.stripe.stripe.subscriptions.update(mine.stripe_id, {"cancel_at_period_end": True})
    shop.knobs(reorder=True, duplicate=2)
    shop.stripe.stripe.subscriptions.update(mine.stripe_id, {"description": "VIP"})
    shop.deliver()
    (subscription,) = kept("subscription")
    assert subscription.stripe_data["cancel_at_period_end"] is True
    assert subscription.stripe_data["description"] == "VIP"


@committed
def test_no_secret_is_kept(mirrored: None, shop: Shop, bob: User) -> None:
    shop.top_up(bob)
    models = apps.get_app_config("djstripe").get_models()
    filled = {model.__name__ for model in models if model._default_manager.exists()}
    assert "Charge" in filled
    assert not filled & {"APIKey", "Account", "WebhookEndpoint"}


@committed
def test_money_does_not_depend_on_it(mirrored: None, shop: Shop, bob: User) -> None:
    with mock.patch("billing.stripe.mirror.models", side_effect=RuntimeError("broken")):
        shop.top_up(bob, "25")
    assert balance(bob) == nanos("25")
    assert not kept("charge").exists()
    StripeEvent.objects.update(received_at=timezone.now() - timedelta(minutes=2))
    tasks.mirror_missing()
    assert kept("charge").count() == 1
    assert mirror.missing(timezone.now()) == []


@committed
def test_staff_who_see_events_see_what_they_are_about(
    mirrored: None, shop: Shop, bob: User, client: Client
) -> None:
    shop.top_up(bob)
    staff = User.objects.create_user("support@example.com", is_staff=True)
    client.force_login(staff)
    pages = [
        reverse("admin:djstripe_charge_changelist"),
        reverse("admin:djstripe_charge_change", args=[kept("charge").get().pk]),
    ]
    assert [client.get(page).status_code for page in pages] == [403, 403]
    staff.user_permissions.add(Permission.objects.get(codename="view_stripeevent"))
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200
        assert kept("charge").get().id in answer.content.decode()
    assert client.post(pages[1], {}).status_code == 403


def _shape(path: Path) -> dict[str, Any]:
    """Columns, indexes and foreign keys of dj-stripe's tables, in no order."""
    with sqlite3.connect(path) as database:

        def rows(pragma: str) -> list[Any]:
            return database.execute(f"PRAGMA {pragma}").fetchall()

        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'djstripe%'"
        return {
            table: (
                {
                    (name, kind, needed)
                    for _, name, kind, needed, *_ in rows(f"table_info({table})")
                },
                {
                    (unique, tuple(column[2] for column in rows(f"index_info({index})")))
                    for _, index, unique, *_ in rows(f"index_list({table})")
                },
                {
                    (other, *columns)
                    for _, _, other, *columns in rows(f"foreign_key_list({table})")
                },
            )
            for (table,) in database.execute(names).fetchall()
        }


@pytest.mark.timeout(600)  # the real ones take a minute where nothing else runs
def test_the_tables_made_at_once_are_those_of_the_real_migrations(tmp_path: Path) -> None:
    """A real migration of dj-stripe beside what `prepare` has made."""

    def migrate(name: str, *options: str) -> None:
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / name)}
        command = [sys.executable, "manage.py", "migrate", *options]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)

    migrate("real", "djstripe")
    migrate("real", "djstripe", "--check")
    prepared.install(tmp_path / "at_once")
    migrate("at_once", "--check")
    real, at_once = (_shape(tmp_path / name / "hontoni.sqlite3") for name in ("real", "at_once"))
    assert len(real) == 62
    assert real == at_once
