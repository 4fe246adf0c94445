"""The shop of tests/billing/shop.py."""

from tests.billing.shop import loop as loop
from tests.billing.shop import shop as shop
from tests.billing.shop import worker as worker
