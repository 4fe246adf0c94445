"""A business to look at: its books balance, and Stripe knows of every payment."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from billing.books.models import Transfer
from billing.payments.models import Dispute, Payout, TopUp
from billing.plans.seed import seed as seed_plans
from billing.stripe import stripe_api
from billing.stripe.models import Quarantine, StripeEvent
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.dashboard.roles import seed as seed_roles
from gateway.reconciliation.invariants import problems
from gateway.usage.models import UsageEvent
from operations.demo import people
from tests.billing.conftest import committed
from tests.billing.shop import Shop
from tests.billing.shop import shop as shop
from tests.billing.shop import worker as worker
from tests.sandbox.stripe.conftest import loop as loop

pytestmark = committed


def filled() -> str:
    said = StringIO()
    call_command("demo", stdout=said, customers=14, requests=400, days=8)
    return said.getvalue()


def test_a_business_is_made_whose_books_balance(shop: Shop) -> None:
    seed_plans()
    seed_catalogue()
    seed_roles()
    begin = timezone.now() - timedelta(days=9)
    assert people.OWNER in filled()
    assert problems() == []
    assert UsageEvent.objects.filter(created_at__gte=begin).count() == 400
    assert User.objects.filter(is_staff=False).count() == 14
    assert not Transfer.objects.filter(created_at__lt=begin).exists()
    assert Transfer.objects.filter(created_at__lt=begin + timedelta(days=3)).exists()
    paid = TopUp.objects.filter(state="paid")
    assert paid.count() >= 10
    for order in paid:
        intent = stripe_api.intent(order.intent_id)
        assert intent["status"] == "succeeded"
        assert abs(intent["created"] - order.created_at.timestamp()) < 2
    payouts = Payout.objects.filter(reconciled_at__isnull=False)
    assert payouts.count() >= 3 and not payouts.filter(unmatched__gt=0).exists()
    assert not Quarantine.objects.exists() and not StripeEvent.objects.filter(handled_at=None)
    assert Dispute.objects.filter(status="needs_response", due_at__gt=timezone.now()).count() >= 1
    assert "filled already" in filled()


def test_nobodys_product_is_filled(shop: Shop) -> None:
    User.objects.create_user("bob@example.com", None)
    with pytest.raises(CommandError, match="has an account here"):
        filled()
    assert not User.objects.filter(email=people.OWNER).exists()
