"""The shop of tests/billing/shop.py."""

import pytest

from accounts.models import User
from tests.billing.shop import Shop
from tests.billing.shop import loop as loop
from tests.billing.shop import shop as shop
from tests.billing.shop import worker as worker


@pytest.fixture
def paid(shop: Shop, bob: User) -> str:
    """Bob's plan of $6, by card: the intent."""
    card = shop.saved_card(bob)
    wanted = {"plan": "basic", "payment_method": "stripe", "card": card}
    assert shop.api(bob).post("/api/subscription", wanted).status_code == 201
    shop.deliver()
    return str(shop.intents()[0].id)
