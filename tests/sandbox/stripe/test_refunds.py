from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.stripe.conftest import World
from tests.sandbox.stripe.test_payment_intents import pay


def test_a_payment_is_refunded_in_parts_and_never_more(world: World) -> None:
    intent = pay(world)
    part = world.stripe.refunds.create(
        {"payment_intent": intent.id, "amount": 1000, "metadata": {"a": "1"}}
    )
    assert (part.status, part.amount, part.payment_intent) == ("succeeded", 1000, intent.id)
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.refunds.create({"payment_intent": intent.id, "amount": 1501})
    world.stripe.refunds.create({"charge": intent.latest_charge})
    charge = world.stripe.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded) == (2500, True)
    assert sorted(refund.amount for refund in charge.refunds.data) == [1000, 1500]
    with pytest.raises(stripe.InvalidRequestError) as again:
        world.stripe.refunds.create({"charge": intent.latest_charge})
    assert again.value.code == "charge_already_refunded"
    moved = world.stripe.balance_transactions.list({"type": "refund"}).data
    assert sorted(transaction.net for transaction in moved) == [-1500, -1000]
    event = world.events("charge.refunded")[0]
    assert event.data.previous_attributes.amount_refunded == 0
    assert event.data.object.amount_refunded == 1000


def test_a_refund_can_be_slow_or_come_back(world: World) -> None:
    slow, failing = pay(world, "pm_card_pendingRefund"), pay(world, "pm_card_refundFail")
    late = world.stripe.refunds.create({"payment_intent": slow.id})
    bounced = world.stripe.refunds.create({"payment_intent": failing.id})
    assert (late.status, bounced.status) == ("pending", "succeeded")
    world.advance(seconds=121)
    assert world.stripe.refunds.retrieve(late.id).status == "succeeded"
    bounced = world.stripe.refunds.retrieve(bounced.id)
    assert (bounced.status, bounced.failure_reason) == ("failed", "lost_or_stolen_card")
    assert world.stripe.charges.retrieve(failing.latest_charge).amount_refunded == 0
    assert {"refund.updated", "refund.failed"} <= set(world.event_types())


def test_what_was_not_paid_cannot_be_refunded(world: World) -> None:
    open = world.stripe.payment_intents.create({"amount": 500, "currency": "usd"})
    for wrong in ({}, {"payment_intent": open.id}, {"charge": "ch_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            world.stripe.refunds.create(wrong)


def dispute(world: World, **fields: Any) -> Any:
    return world.control("disputes", **fields)


@pytest.mark.parametrize(("outcome", "back"), [("won", 2500), ("lost", 0)])
def test_a_dispute_takes_the_money_until_it_is_won(world: World, outcome: str, back: int) -> None:
    intent = pay(world)
    made = dispute(world, payment_intent=intent.id, reason="fraudulent")
    assert made["status"] == "needs_response"
    assert world.stripe.charges.retrieve(intent.latest_charge).disputed
    found = world.stripe.disputes.retrieve(made["id"], {"expand": ["charge"]})
    assert (found.amount, found.charge.id) == (2500, intent.latest_charge)
    assert found.balance_transactions[0].net == -4000
    world.control(f"disputes/{made['id']}", outcome=outcome)
    closed = world.stripe.disputes.retrieve(made["id"])
    assert closed.status == outcome
    amounts = [transaction.amount for transaction in closed.balance_transactions]
    assert sum(amounts) == back - 2500
    expected = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    expected += ["charge.dispute.funds_reinstated"] if outcome == "won" else []
    types = [name for name in world.event_types() if "dispute" in name]
    assert types == [*expected, "charge.dispute.closed"]


def test_evidence_decides_as_on_the_test_account(world: World) -> None:
    pay(world, "pm_card_createDispute")
    [made] = world.stripe.disputes.list().data
    won = world.stripe.disputes.update(
        made.id, {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    )
    assert (won.status, won.evidence_details.submission_count) == ("won", 1)
    pay(world, "pm_card_createDispute")
    assert world.stripe.disputes.close(world.stripe.disputes.list().data[0].id).status == "lost"


def test_a_disputed_charge_is_not_refunded_nor_disputed_twice(world: World) -> None:
    intent = pay(world)
    dispute(world, charge=intent.latest_charge, amount=1000)
    with pytest.raises(stripe.InvalidRequestError):
        world.stripe.refunds.create({"payment_intent": intent.id})
    again = world.http.post("/_control/disputes", json={"charge": intent.latest_charge})
    assert again.status_code == 400


def test_the_balance_is_the_sum_of_what_moved(world: World) -> None:
    intent = pay(world)
    world.stripe.refunds.create({"payment_intent": intent.id, "amount": 500})
    balance = world.stripe.balance.retrieve()
    assert balance.pending[0].amount == 2500 - 103 - 500
    world.advance(days=2)
    assert world.stripe.balance.retrieve().available[0].amount == 2500 - 103 - 500


def test_evidence_is_handed_in_once_in_time_and_as_text(world: World) -> None:
    def answer(id: str, **evidence: str) -> Any:
        return world.stripe.disputes.update(id, {"evidence": evidence})

    made = dispute(world, payment_intent=pay(world).id)["id"]
    for wrong in (
        {"receipt": "file_none"},
        {"uncategorized_text": "x" * 150_001},
        {"invented": "x"},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            answer(made, **wrong)
    staged = world.stripe.disputes.update(
        made, {"evidence": {"customer_name": "Alice"}, "submit": False}
    )
    assert staged.status == "needs_response" and staged.evidence_details.has_evidence
    assert answer(made, access_activity_log="Was here.").status == "under_review"
    with pytest.raises(stripe.InvalidRequestError):
        answer(made, customer_name="Too late")
    late = dispute(world, payment_intent=pay(world).id)["id"]
    world.advance(days=10)
    with pytest.raises(stripe.InvalidRequestError):
        answer(late, customer_name="Alice")


def test_a_payout_is_the_sum_of_its_movements(world: World) -> None:
    first = pay(world)
    world.stripe.refunds.create({"payment_intent": first.id, "amount": 500})
    world.advance(days=4)
    [payout] = world.stripe.payouts.list().data
    moved = world.stripe.balance_transactions.list({"payout": payout.id}).data
    assert payout.status == "paid" and payout.amount == 2500 - 103 - 500
    assert sum(each.net for each in moved if each.type != "payout") == payout.amount
    assert [each.net for each in moved if each.type == "payout"] == [-payout.amount]
    pay(world)
    world.advance(days=4)
    assert len(world.stripe.payouts.list().data) == 2


def test_an_account_may_begin_in_the_past_and_has_only_one(world: World) -> None:
    then = world.control("clock", "GET")["now"] - 40 * 86_400
    assert world.control("clock", now=then)["now"] == then
    intent = pay(world)
    assert 0 <= intent.created - then < 60
    assert world.control("clock", now=then + 86_400)["now"] == then + 86_400
    with pytest.raises(httpx.HTTPStatusError):
        world.control("clock", now=then)
