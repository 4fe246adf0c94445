"""What is written once: refused by the model, and by the database to whoever comes past it."""

import uuid
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.keys import api_keys
from accounts.models import User
from billing.books import audit, ledger
from billing.books.models import (
    AuditEntry,
    BroughtForward,
    Checkpoint,
    ClosedMonth,
    Entry,
    LedgerRoot,
    Transfer,
)
from billing.books.written_once import Immutable, WrittenOnce
from billing.invoices.models import Invoice
from billing.mails.models import Notice
from billing.payments import closing
from billing.plans.models import Plan
from billing.rewards.models import Accrual, Referral
from billing.subscriptions import balance_changes
from gateway.archive import dropping, expiry
from gateway.archive.models import UsageBroughtForward
from gateway.usage.corrections.models import CorrectedAccount, CorrectedRequest, Correction
from hontoni import months
from tests.world import Person, used


@pytest.fixture(params=WrittenOnce.__subclasses__())
def written(
    request: pytest.FixtureRequest, alice: User, settings: Settings, tmp_path: Path
) -> models.Model:
    """One row of each kind, from alice's first top-up and her first plan."""
    audit.record(actor="a", action="b", subject="c", before={}, after={})
    balance_changes.subscribe(alice.pk, Plan.objects.get(slug="basic"), now=timezone.now())
    referral = Referral.objects.create(
        referrer=alice,
        invitee=User.objects.create_user("dave@elsewhere.org"),
        percent=10,
        basis="top_ups",
        hold_days=30,
        most=0,
    )
    Accrual.objects.create(referral=referral, total=0, at=timezone.now())
    _correct(alice)
    LedgerRoot.objects.create(
        first=1, last=2, transfers=2, root="0", chain="0", salt=b"", leaves=b""
    )
    settings.ARCHIVE_URL = str(tmp_path)
    _bring_forward(alice)
    kind: type[models.Model] = request.param
    if kind is ClosedMonth:
        month = months.begin(timezone.now())
        later = months.shifted(month, 1) + timedelta(hours=2)
        closing.close(month, actor="a", now=later)
    row = kind._default_manager.first()
    assert row is not None
    return row


def _correct(alice: User) -> None:
    """A request of hers, at half its price."""
    now = timezone.now()
    event = used(Person(alice, *api_keys.mint(alice, "laptop")))
    made = Correction.objects.create(
        price=event.price, since=now, until=now, debits=False, actor="a", reason="b"
    )
    CorrectedAccount.objects.create(
        correction=made, user=alice, requests=1, credited=event.cost // 2, debited=0
    )
    CorrectedRequest.objects.create(
        correction=made, event=event, old_cost=event.cost, new_cost=event.cost // 2
    )


def _bring_forward(alice: User) -> None:
    """A charge and a request of hers go into the archive."""
    used(Person(alice, alice.keys.get(), ""))
    with transaction.atomic():
        ledger.charge_usage(key=f"usage:{uuid.uuid4()}", user_id=alice.pk, amount=5)
    with patch.object(dropping, "whole", lambda month: None):  # no DDL in the test's transaction
        expiry.take_out(months.begin(timezone.now()))


def test_it_is_these() -> None:
    assert set(WrittenOnce.__subclasses__()) == {
        Accrual,
        AuditEntry,
        BroughtForward,
        ClosedMonth,
        Checkpoint,
        CorrectedAccount,
        CorrectedRequest,
        Correction,
        Entry,
        Invoice,
        LedgerRoot,
        Notice,
        Transfer,
        UsageBroughtForward,
    }


def test_the_model_refuses(written: models.Model) -> None:
    with pytest.raises(Immutable):
        written.save()
    with pytest.raises(Immutable):
        written.delete()
    with pytest.raises(Immutable):
        type(written)._default_manager.update(pk=1)
    with pytest.raises(Immutable):
        type(written)._default_manager.all().delete()


@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_the_database_refuses(written: models.Model, statement: str) -> None:
    kind = type(written)
    before = list(kind._default_manager.values())
    with (
        pytest.raises(IntegrityError, match="written once"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(kind._meta.db_table, kind._meta.pk.column))
    assert list(kind._default_manager.values()) == before
