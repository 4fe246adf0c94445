"""A shop: the product's own server, and a Stripe that sends it webhooks, both over real HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from billing.books import ledger
from billing.payments.models import TopUp
from hontoni.asgi import django
from hontoni.celery import app as celery
from sandbox.stripe import create_app
from tests.billing.conftest import client
from tests.sandbox.stripe.conftest import KEY, World
from tests.sandbox.stripe.conftest import loop as loop
from tests.sandbox.stripe.running import Loop, Running


class Shop:
    """What customers, their banks and Stripe do. Webhooks arrive when `deliver` is called."""

    def __init__(self, stripe: World, url: str) -> None:
        self.stripe, self.url = stripe, url
        self.knobs()

    def knobs(self, **turned: Any) -> None:
        """What goes wrong with webhooks from now on."""
        self.stripe.control("webhooks", hold=True, **turned)

    def deliver(self) -> list[Any]:
        """Everything that is due; what was sent."""
        log: list[Any] = self.stripe.control("webhooks/flush")["log"]
        return log

    def api(self, user: User) -> APIClient:
        made = client(user)
        made.default_format = "json"
        return made

    def order(self, user: User, amount: str = "25", **asked: Any) -> TopUp:
        """Ask for a Checkout page."""
        answer = self.api(user).post("/api/billing/topup/checkout", {"amount": amount, **asked})
        assert answer.status_code == 201, answer.content
        return TopUp.objects.get(pk=answer.json()["id"])

    def pay(self, order: TopUp, card: str = "pm_card_visa") -> str:
        """Pay on Stripe's page; where the browser is sent then."""
        order.refresh_from_db()
        page = self.stripe.stripe.checkout.sessions.retrieve(order.session_id).url
        answer = self.stripe.browser.post(page, data={"card": card, "email": order.user.email})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def top_up(self, user: User, amount: str = "25", card: str = "pm_card_visa") -> TopUp:
        """Order, pay and hear of it."""
        order = self.order(user, amount, save_card=True)
        self.pay(order, card)
        self.deliver()
        order.refresh_from_db()
        assert order.state == "paid"
        return order

    def saved_card(self, user: User, card: str = "pm_card_visa") -> str:
        """A card of the user's at Stripe, without any payment."""
        from billing.stripe import customers

        method = self.stripe.stripe.payment_methods.attach(card, {"customer": customers.of(user)})
        return str(method.id)

    def refund(self, order: TopUp, cents: int | None = None) -> Any:
        asked: dict[str, Any] = {"payment_intent": order.intent_id}
        return self.stripe.stripe.refunds.create(asked | ({"amount": cents} if cents else {}))

    def dispute(self, order: TopUp) -> str:
        found = self.stripe.control("disputes", payment_intent=order.intent_id)
        return str(found["id"])

    def close_dispute(self, id: str, outcome: str) -> None:
        self.stripe.control(f"disputes/{id}", outcome=outcome)

    def intents(self) -> list[Any]:
        """Every PaymentIntent that took money."""
        listed = self.stripe.stripe.payment_intents.list({"limit": 100})
        return [intent for intent in listed.auto_paging_iter() if intent.status == "succeeded"]


def balance(user: User) -> int:
    """Nano-dollars."""
    return ledger.balance(user.pk)


@pytest.fixture
def worker() -> Iterator[None]:
    """What is sent to the worker is done on the spot."""
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


@pytest.fixture
def shop(loop: Loop, settings: Settings, transactional_db: None, worker: None) -> Iterator[Shop]:
    app: Any = django
    with Running(create_app(), loop) as server, Running(app, loop) as ours:
        stripe = World(server)
        endpoint = stripe.stripe.webhook_endpoints.create(
            {"url": f"{ours.url}/webhooks/stripe", "enabled_events": ["*"]}
        )
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, endpoint.secret
        settings.STRIPE_PUBLISHABLE_KEY, settings.STRIPE_API_BASE = "pk_test_x", server.url
        yield Shop(stripe, ours.url)
        stripe.close()
