"""What Stripe says, as ledger transfers and states of orders. The only place that credits cards.

* Every function takes an id and fetches the object: an event only says where to look, so it does
  not matter how old it is, how often it comes, or what came before it.
* Money is posted under the business fact: `topup:<payment intent>`, `refund:<refund>`,
  `dispute:<dispute>:withdrawn|reinstated`. The order's row is locked first, its state changes,
  and its document is issued (documents.py), in the same transaction.
* Parts of a payment that go back are worth whole cents, and together as much as was bought.
* The account and the amount are our order's. Where Stripe disagrees about the account, the
  currency or the amount, nothing is credited and a person looks at it.
"""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from accounts.people import freezing
from billing.books import ledger
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.mails import notices
from billing.payments import documents, funding, plan_refunds, refund_notices
from billing.payments.models import Dispute, TopUp
from billing.rewards import fraud
from billing.stripe import customers, stripe_api
from billing.stripe.models import Quarantine, StripeCustomer
from billing.stripe.stripe_api import Object
from billing.subscriptions import entitlements
from billing.subscriptions.models import PlanOrder
from hontoni.money import CENT, dollars

DISPUTED = "A payment on this account is disputed."

State, Route = TopUp.State, TopUp.Route


def settle_session(id: str) -> TopUp | None:
    """Whatever became of a Checkout page; the order it belongs to, if it is one of ours."""
    session = stripe_api.session(id)
    if session["mode"] == "subscription":
        _settle_plan(session)
        return None
    order = _claimed(session, TopUp.objects.filter(session_id=id).first())
    if order is None:
        return None
    if session["payment_intent"]:
        settle_intent(session["payment_intent"])
    elif session["status"] == "expired":
        order.fail("expired")
    order.refresh_from_db()
    return order


def _settle_plan(session: Object) -> None:
    """A page to subscribe on: what was subscribed to is Stripe's to tell."""
    if session["subscription"]:
        entitlements.settle(session["subscription"])
    elif session["status"] == "expired":
        for order in PlanOrder.objects.filter(session_id=session["id"]):
            order.close(PlanOrder.State.FAILED, "expired")


def settle_intent(id: str) -> TopUp | None:
    """Whatever became of a payment; the order it belongs to, if it is one of ours."""
    intent = stripe_api.intent(id)
    order = _claimed(intent, TopUp.objects.filter(intent_id=id).first())
    if order is None:
        return None
    if intent["status"] == "succeeded":
        _pay(order, intent, _page(order, intent))
    elif intent["status"] == "canceled":
        order.fail("canceled")
    elif intent["status"] == "requires_payment_method" and _is_over(order, intent):
        order.fail((intent["last_payment_error"] or {}).get("code") or "payment_failed")
    order.refresh_from_db()
    return order


def settle_charge(id: str) -> None:
    """All refunds of a charge."""
    charge = stripe_api.charge(id)
    order = settle_intent(charge["payment_intent"]) if charge["payment_intent"] else None
    for refund in stripe_api.refunds(charge["payment_intent"]) if charge["payment_intent"] else []:
        _settle_refund(order, refund)


def settle_refund(id: str) -> None:
    """One refund: money that goes back is taken back, even below zero."""
    refund = stripe_api.refund(id)
    if refund["payment_intent"]:
        _settle_refund(settle_intent(refund["payment_intent"]), refund)


def _settle_refund(order: TopUp | None, refund: Object) -> None:
    if order is None:
        _refund_of_plan(refund)
    elif _credited(order, refund["payment_intent"]):
        _refund(order, refund)


def settle_dispute(id: str) -> None:
    """A dispute takes the money and freezes the keys; one that is won undoes both."""
    dispute = stripe_api.dispute(id)
    order = settle_intent(dispute["payment_intent"]) if dispute["payment_intent"] else None
    if order is not None and _credited(order, dispute["payment_intent"]):
        _dispute(order, dispute)
    elif order is None and dispute["payment_intent"]:
        payer = _payer(dispute["payment_intent"])
        if payer is not None:
            _dispute_of_plan(payer, dispute)


# -- Whose, and how much -------------------------------------------------------------------------


def _claimed(found: Object, known: TopUp | None) -> TopUp | None:
    """The order an object belongs to: by the id we kept, else by the id it carries."""
    claim = (found.get("metadata") or {}).get("topup")
    if known is not None or claim is None:
        return known
    try:
        order = TopUp.objects.filter(pk=claim).first()
    except ValidationError:
        order = None
    if order is None and found.get("status") in ("succeeded", "complete"):
        Quarantine.note(found["id"], "unknown_order", {"topup": claim})
    return order


def _credited(order: TopUp, intent: str) -> bool:
    """Whether that payment is the one the balance was credited with. A second one for the same
    order waits for staff, and gave nothing that could be taken back."""
    return order.state == State.PAID and order.intent_id == intent


def _payer(intent: str) -> User | None:
    """Whose payment it is, if it is of a plan."""
    customer = stripe_api.intent(intent)["customer"]
    known = StripeCustomer.objects.select_related("user").filter(stripe_id=customer or "").first()
    return None if known is None else known.user


def _page(order: TopUp, intent: Object) -> Object | None:
    """The Checkout page it was paid on."""
    if order.route != Route.CHECKOUT:
        return None
    return next(stripe_api.sessions(payment_intent=intent["id"]), None)


def _tax(page: Object | None) -> int:
    """Cents of the payment that are tax. Only Checkout adds any."""
    totals = (page and page["total_details"]) or {}
    return int(totals.get("amount_tax") or 0)


def _is_over(order: TopUp, intent: Object) -> bool:
    """Whether a refused payment cannot be tried again by the customer."""
    if order.route != Route.CHECKOUT:
        return bool(order.payment_method)  # we confirmed it; else the customer's browser does
    page = _page(order, intent)
    return page is not None and page["status"] != "open"


def _problem(order: TopUp, intent: Object, tax: int) -> str | None:
    """What does not fit the order, in one word."""
    if order.intent_id not in ("", intent["id"]):
        return "second_payment"
    if intent["currency"] != stripe_api.CURRENCY:
        return "currency"
    if intent["customer"] != customers.find(order.user_id):
        return "account"
    if intent["amount_received"] - tax != order.cents:
        return "amount"
    return None


# -- Posting -------------------------------------------------------------------------------------


def _locked(order: TopUp) -> TopUp:
    return TopUp.objects.select_for_update().get(pk=order.pk)


def _pay(order: TopUp, intent: Object, page: Object | None) -> None:
    with transaction.atomic():
        order = _locked(order)
        if problem := _problem(order, intent, _tax(page)):
            names = ("amount_received", "currency", "customer", "metadata")
            details = {name: intent[name] for name in names}
            Quarantine.note(intent["id"], problem, details, order)
            TopUp.objects.filter(pk=order.pk).exclude(state=State.PAID).update(
                state=State.QUARANTINED, failure=problem
            )
        elif order.state != State.PAID:
            _credit(order, intent, page)
        else:
            documents.remember(order, page["invoice"] if page else None)


def _credit(order: TopUp, intent: Object, page: Object | None) -> None:
    fraud.saw_card(order.user_id, _fingerprint(intent))
    paid, _ = funding.credit(
        key=f"topup:{intent['id']}",
        kind=Kind.TOPUP,
        user_id=order.user_id,
        amount=order.amount,
        reason="Top-up",
        ref={"topup": str(order.pk), "payment_intent": intent["id"]},
    )
    order.state, order.failure = State.PAID, ""
    order.intent_id, order.charged_cents = intent["id"], intent["amount_received"]
    order.paid_at = timezone.now()
    order.invoice_id = order.invoice_id or (page and page["invoice"]) or ""
    names = ("state", "failure", "intent_id", "charged_cents", "paid_at", "invoice_id")
    order.save(update_fields=names)
    if not order.invoice_id and documents.is_ours(order, page):
        documents.of_top_up(order, paid, documents.paid_by(intent), order.paid_at)
    if not order.user.is_active:  # on its way when the account was closed: a person gives it back
        Quarantine.note(intent["id"], "closed_account", {"topup": str(order.pk)}, order)
        StripeCustomer.objects.filter(pk=order.user_id).update(cards_removed_at=None)  # or saved
    _tell_paid(order)


def _fingerprint(intent: Object) -> str:
    """Of the card that paid, if it was one."""
    details = (intent["latest_charge"] or {}).get("payment_method_details") or {}
    return str((details.get("card") or {}).get("fingerprint") or "")


def _tell_paid(order: TopUp) -> None:
    """A receipt; for an automatic top-up, that it happened."""
    kind = "auto_topup" if order.route == Route.AUTO else "topup_receipt"
    facts = {
        "amount": dollars(order.amount),
        "charged": dollars(order.charged_cents * CENT),
        "balance": dollars(ledger.balance(order.user_id)),
        "topup": str(order.pk),
    }
    notices.tell(user_id=order.user_id, kind=kind, key=f"topup:{order.pk}", facts=facts)


def _refund(order: TopUp, refund: Object) -> None:
    """A pending refund counts: the money is on its way. One that fails comes back."""
    key, cents = f"refund:{refund['id']}", refund["amount"]
    number, failed = documents.number_of(order), refund["status"] in ("failed", "canceled")
    with transaction.atomic():
        order = _locked(order)
        if failed:
            moved = _give_back(order, key, f"{key}:failed", "Refund that failed", number)
        else:
            moved = _take_back(order, key, Kind.REFUND, cents, number)
        if moved is not None:
            refund_notices.of_top_up(order, moved, cents, failed=failed)


def _refund_of_plan(refund: Object) -> None:
    """No balance was bought, and there is a credit note all the same (plan_refunds.py)."""
    payer = _payer(refund["payment_intent"])
    if payer is None:
        return
    key, cents, now = f"refund:{refund['id']}", refund["amount"], timezone.now()
    if refund["status"] not in ("failed", "canceled"):
        plan_refunds.to_card(payer, refund["payment_intent"], key, cents, now)
    elif Invoice.objects.filter(cause=key).exists():
        plan_refunds.to_card(payer, refund["payment_intent"], f"{key}:failed", -cents, now)


def _dispute(order: TopUp, dispute: Object) -> None:
    withdrawn, reinstated = _booked(dispute)
    key, cents = f"dispute:{dispute['id']}", dispute["amount"]
    number = documents.number_of(order)
    with transaction.atomic():
        order = _locked(order)
        Dispute.objects.update_or_create(
            pk=dispute["id"],
            defaults={
                "topup": order,
                "status": dispute["status"],
                "amount": order.worth(cents),
                "withdrawn": withdrawn,
                "reinstated": reinstated,
                **_told(dispute),
            },
        )
        taken, back = f"{key}:withdrawn", f"{key}:reinstated"
        if withdrawn and (moved := _take_back(order, taken, Kind.DISPUTE, cents, number)):
            freezing.freeze(order.user_id, DISPUTED)
            _tell_disputed(order.user_id, "dispute", taken, moved.amount)
        if reinstated and (moved := _give_back(order, taken, back, "Dispute won", number)):
            _thaw(order.user_id)
            _tell_disputed(order.user_id, "dispute_won", back, moved.amount)


def _told(dispute: Object) -> dict[str, Any]:
    """What staff want to know of it."""
    due = dispute["evidence_details"]["due_by"]
    return {
        "intent_id": dispute["payment_intent"],
        "reason": dispute["reason"],
        "cents": dispute["amount"],
        "opened_at": datetime.fromtimestamp(dispute["created"], UTC),
        "due_at": due and datetime.fromtimestamp(due, UTC),
    }


def _booked(dispute: Object) -> tuple[bool, bool]:
    """Whether the bank has taken the money, and whether it gave it back."""
    booked = [movement["amount"] for movement in dispute["balance_transactions"]]
    return min(booked, default=0) < 0, max(booked, default=0) > 0


def _dispute_of_plan(payer: User, dispute: Object) -> None:
    """No balance was bought; the keys are frozen all the same."""
    withdrawn, reinstated = _booked(dispute)
    key, cents, intent = f"dispute:{dispute['id']}", dispute["amount"], dispute["payment_intent"]
    user_id, worth, now = payer.pk, cents * CENT, timezone.now()
    if withdrawn:
        plan_refunds.to_card(payer, intent, f"{key}:withdrawn", cents, now, is_refund=False)
    if reinstated:
        plan_refunds.to_card(payer, intent, f"{key}:reinstated", -cents, now, is_refund=False)
    with transaction.atomic():
        Dispute.objects.get_or_create(
            pk=dispute["id"], defaults={"user_id": user_id, "amount": worth}
        )
        known = Dispute.objects.select_for_update().get(pk=dispute["id"])
        taken = withdrawn and not known.withdrawn
        given_back = reinstated and not known.reinstated
        known.status, known.withdrawn, known.reinstated = dispute["status"], withdrawn, reinstated
        for name, value in _told(dispute).items():
            setattr(known, name, value)
        known.save()
        if taken:
            freezing.freeze(user_id, DISPUTED)
            _tell_disputed(user_id, "dispute", f"{key}:withdrawn", worth)
        if given_back:
            _thaw(user_id)
            _tell_disputed(user_id, "dispute_won", f"{key}:reinstated", worth)


def _tell_disputed(user_id: int, kind: str, key: str, worth: int) -> None:
    facts = {"amount": dollars(worth), "balance": dollars(ledger.balance(user_id))}
    notices.tell(user_id=user_id, kind=kind, key=key, facts=facts)


def _thaw(user_id: int) -> None:
    """Let the keys work again, unless another payment is disputed."""
    mine = Dispute.objects.filter(Q(user_id=user_id) | Q(topup__user_id=user_id))
    open_ones = mine.filter(withdrawn=True, reinstated=False)
    if not open_ones.exists():
        freezing.unfreeze(user_id, only=DISPUTED)


REASONS = {Kind.REFUND: "Refund", Kind.DISPUTE: "Dispute"}


def _take_back(order: TopUp, key: str, kind: Kind, cents: int, number: str) -> Transfer | None:
    """Take what that part of the payment bought; None if it was taken before, or is nothing."""
    if Transfer.objects.filter(key=key).exists():
        return None
    before, taken = documents.taken_back(order)
    worth = order.worth(before + cents) - taken
    return _move_back(order, key, kind, worth, cents, REASONS[kind], number)


def _give_back(order: TopUp, taken: str, key: str, reason: str, number: str) -> Transfer | None:
    """Undo a transfer, exactly; None if it never was, or is undone already."""
    undone = Transfer.objects.filter(key=taken).first()
    if undone is None or Transfer.objects.filter(key=key).exists():
        return None
    cents = -(undone.ref.get("cents") or 0)
    return _move_back(order, key, Kind(undone.kind), -undone.amount, cents, reason, number)


def _move_back(
    order: TopUp, key: str, kind: Kind, worth: int, cents: int, reason: str, number: str
) -> Transfer | None:
    if not worth:
        return None
    ref = {"topup": str(order.pk), "payment_intent": order.intent_id}
    moved, _ = funding.take_back(
        key=key,
        kind=kind,
        user_id=order.user_id,
        top_up=Transfer.objects.get(key=f"topup:{order.intent_id}"),
        amount=worth,
        reason=reason,
        ref=ref | ({"cents": cents} if cents else {}),
    )
    documents.of_taking_back(order, moved, number, timezone.now())
    return moved
