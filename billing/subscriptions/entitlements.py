"""What Stripe says of a subscription, as our row and as what the account may do.

* It is read back, never taken from an event. Two who read at the same moment may write in the
  wrong order: a row's `revision` rises whenever Stripe's word changes it, and what was read
  before that is read again.
* A period holds once its invoice is paid. Until then the last one goes on, for `periods.GRACE`.
* Stripe's items are what it bills next. A dearer plan or another add-on holds at once, because
  Stripe changes them only when they are paid (card_changes.py asks it to); a cheaper
  plan or add-on, or none, holds from the next period, and so does another price of the same.
* Who is frozen is not to be billed: what ends at Stripe then waits here. For who is closed nothing
  begins any more.
* Where Stripe disagrees about the account, the currency, a price or the amount, nothing changes
  and a person looks at it.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.forms.models import model_to_dict
from django.utils import timezone

from billing.mails import notices
from billing.plans import terms
from billing.plans.models import Subscription
from billing.rewards import fraud
from billing.stripe import catalogue, customers, stripe_api
from billing.stripe.catalogue import Sold, Unknown
from billing.stripe.models import Quarantine
from billing.stripe.stripe_api import Object
from billing.subscriptions import renewals
from billing.subscriptions.models import PlanOrder
from hontoni.money import CENT, dollars

Status, Method = Subscription.Status, Subscription.PaymentMethod

MOST_READS = 10
OVER = ("canceled", "incomplete_expired")
UNPAID = ("past_due", "unpaid", "paused")


def settle(id: str, *, now: datetime | None = None) -> Subscription | None:
    """Take Stripe's word for a subscription; ours, if it is one. Raises Unanswered."""
    for _ in range(MOST_READS):
        mine = Subscription.objects.filter(stripe_id=id).first()
        found = stripe_api.subscription(id)
        if mine is None:
            if not _claim(found):
                return None
        elif _take(mine, found, now or timezone.now()):
            mine.refresh_from_db()
            return mine
    raise stripe_api.Unanswered  # somebody else is at it all the time


def settle_invoice(id: str) -> None:
    """An invoice was paid, or not: whatever that means for its subscription."""
    details = (stripe_api.invoice(id)["parent"] or {}).get("subscription_details") or {}
    if details.get("subscription"):
        settle(details["subscription"])


# -- Whose, and how much -------------------------------------------------------------------------


def _claim(found: Object) -> bool:
    """Tie a new subscription to the row it was made for. False if it is not for us."""
    if found["status"] in OVER:
        return False
    claim = str(found["metadata"].get("subscription", ""))
    mine = Subscription.objects.filter(pk=claim).first() if claim.isdecimal() else None
    if mine is None:
        _quarantine(found, "unknown_subscription")
        return False
    if found["customer"] != customers.find(mine.user_id):
        _quarantine(found, "account")
        return False
    waits = Method.STRIPE in (mine.payment_method, mine.next_payment_method)
    free = Subscription.objects.filter(pk=mine.pk, stripe_id="")
    if waits and free.update(stripe_id=found["id"]):
        return True
    if Subscription.objects.filter(stripe_id=found["id"]).exists():
        return True  # somebody else has just tied it
    _second(found)
    return False


def _second(found: Object) -> None:
    """Paid twice: this one must not go on. A person gives the money back."""
    _quarantine(found, "second_subscription")
    stripe_api.cancel_subscription(found["id"])


def _for_nobody(found: Object) -> None:
    """Paid for an account that is closed: it must not go on. A person gives the money back."""
    _quarantine(found, "closed_account")
    stripe_api.cancel_subscription(found["id"])


def _quarantine(found: Object, problem: str) -> None:
    names = ("customer", "metadata", "status")
    details: Object = {name: found[name] for name in names}
    details["prices"] = [item["price"]["id"] for item in found["items"]["data"]]
    Quarantine.note(found["id"], problem, details)


def _problem(mine: Subscription, found: Object, sold: Sold) -> str | None:
    """What does not fit our row, in one word."""
    if found["customer"] != customers.find(mine.user_id):
        return "account"
    if mine.status == Status.ENDED and found["status"] not in OVER:
        return "ended_here"
    invoice = found["latest_invoice"]
    if not _begins_a_period(mine, found) or not _paid(found):
        return None
    if invoice["currency"] != stripe_api.CURRENCY:
        return "currency"
    whole = [line["amount"] for line in invoice["lines"]["data"] if not _prorated(line)]
    return None if sum(whole) == sold.cents else "amount"


def _prorated(line: Object) -> bool:
    parent = line["parent"] or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration"))


def _paid(found: Object) -> bool:
    """Whether the invoice of the present period is."""
    return bool(found["latest_invoice"]) and found["latest_invoice"]["status"] == "paid"


def period(found: Object) -> tuple[datetime, datetime]:
    """The current one; since 2025-03-31 it is on the items, which share it."""
    item = found["items"]["data"][0]
    start, end = item["current_period_start"], item["current_period_end"]
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)


def _begins(mine: Subscription) -> bool:
    """Nothing of it was ever paid by Stripe."""
    return mine.status == Status.INCOMPLETE or mine.payment_method != Method.STRIPE


def _begins_a_period(mine: Subscription, found: Object) -> bool:
    return _begins(mine) or period(found)[0] > mine.period_start


# -- Taking its word -----------------------------------------------------------------------------


def _take(mine: Subscription, found: Object, now: datetime) -> bool:
    """Write down what was read. False if the row has moved on since: read again."""
    try:
        sold = catalogue.read(found["items"]["data"])
        problem = _problem(mine, found, sold)
    except Unknown as unknown:
        problem = str(unknown)
    if problem is not None:
        _quarantine(found, problem)
        if problem == "ended_here":  # it began there while it ended here: nobody is to pay it
            stripe_api.cancel_subscription(found["id"])
        return True
    if _begins(mine) and found["status"] == "active":
        if not mine.user.is_active:
            _for_nobody(found)
            return True
        if any(not _gives_way(other) for other in _others(mine)):
            _second(found)
            return True
        _note_card(mine.user_id, found)
    with transaction.atomic():
        rows = Subscription.objects.select_related("plan", "add_on", "next_plan", "next_add_on")
        fresh = rows.select_related("user__wallet").select_for_update(of=("self",)).get(pk=mine.pk)
        if fresh.revision != mine.revision:
            return False
        known = model_to_dict(fresh)
        _apply(fresh, found, sold, now)
        if model_to_dict(fresh) != known:  # else nobody's reading is out of date
            fresh.revision += 1
            fresh.save()
    return True


def _others(mine: Subscription) -> list[Subscription]:
    live = Subscription.objects.filter(user_id=mine.user_id, status__in=Subscription.LIVE)
    return list(live.exclude(pk=mine.pk).select_related("plan"))


def _gives_way(other: Subscription) -> bool:
    """A trial ends when a plan is bought instead."""
    return other.on_trial and other.add_on_id is None


def _end_trial(mine: Subscription, now: datetime) -> None:
    """What the account had on trial, as the plan begins that it bought."""
    for other in _others(mine):
        if _gives_way(other):
            other.status, other.ended_at = Status.ENDED, now
            other.save()


def _note_card(user_id: int, found: Object) -> None:
    if method := found["default_payment_method"]:
        card = stripe_api.payment_method(method).get("card") or {}
        fraud.saw_card(user_id, str(card.get("fingerprint") or ""))


def _apply(mine: Subscription, found: Object, sold: Sold, now: datetime) -> None:
    before = (mine.plan_id, mine.add_on_id, mine.status)
    if mine.status == Status.ENDED:
        pass
    elif found["status"] in OVER:
        _over(mine, found, now)
    elif not _begins(mine) and period(found)[0] <= mine.period_start:
        _change(mine, found, sold)
    elif found["status"] == "active" and _paid(found):
        _end_trial(mine, now)
        _next_period(mine, found, sold)
    if not _begins(mine) and mine.status != Status.ENDED:
        _stand(mine, found, now)
    _close_order(mine, found)
    if (mine.plan_id, mine.add_on_id, mine.status) != before:
        mine.save()
        terms.apply(mine.user_id)


def _close_order(mine: Subscription, found: Object) -> None:
    """What was ordered is there, and paid."""
    order = PlanOrder.objects.filter(subscription=mine, state=PlanOrder.State.OPEN).first()
    if order is None or mine.status not in mine.LIVE or _begins(mine):
        return
    if order.plan_id in (None, mine.plan_id) and order.add_on_id in (None, mine.add_on_id):
        invoice = found["latest_invoice"]
        total = invoice["amount_paid"] or min(invoice["total"], 0)
        order.close(PlanOrder.State.DONE, invoice_id=invoice["id"], cents=total)


def _next_period(mine: Subscription, found: Object, sold: Sold) -> None:
    """A period is paid: the first one, or one more."""
    if mine.status != Status.INCOMPLETE:
        kind = "plan_renewed"
    else:
        kind = "plan_started" if sold.plan_cents else "add_on_started"
    plan_price, add_on_price = sold.plan_cents * CENT, sold.add_on_cents * CENT
    renewals.begin(mine, sold.plan, plan_price, sold.add_on, add_on_price)
    if mine.payment_method != Method.STRIPE:
        mine.payment_method, mine.next_payment_method = Method.STRIPE, ""
    mine.period_start, mine.period_end = period(found)
    _tell_paid(mine, kind, found["latest_invoice"])


def _change(mine: Subscription, found: Object, sold: Sold) -> None:
    """Within the period: what is dearer holds now, what is cheaper from the next one on."""
    _change_plan(mine, found, sold)
    mine.add_on_ends = mine.add_on is not None and sold.add_on is None
    _change_add_on(mine, found, sold)


def _change_plan(mine: Subscription, found: Object, sold: Sold) -> None:
    price = sold.plan_cents * CENT
    mine.next_plan, mine.next_plan_price = None, 0
    if mine.plan == sold.plan:
        mine.next_plan_price = 0 if price == mine.plan_price else price
    elif price < mine.plan_price:
        mine.next_plan, mine.next_plan_price = sold.plan, price
    else:
        details = {"plan": sold.plan.name}
        _tell_paid(mine, "plan_upgraded", found["latest_invoice"], **details)
        mine.plan, mine.plan_price = sold.plan, price


def _change_add_on(mine: Subscription, found: Object, sold: Sold) -> None:
    price = sold.add_on_cents * CENT
    mine.next_add_on, mine.next_add_on_price = None, 0
    if sold.add_on is None:
        return
    if mine.add_on == sold.add_on:
        mine.next_add_on_price = 0 if price == mine.add_on_price else price
    elif mine.add_on is not None and price < mine.add_on_price:
        mine.next_add_on, mine.next_add_on_price = sold.add_on, price
    else:
        details = {"add_on": sold.add_on.name}
        _tell_paid(mine, "add_on_started", found["latest_invoice"], **details)
        mine.add_on, mine.add_on_price = sold.add_on, price


def _stand(mine: Subscription, found: Object, now: datetime) -> None:
    """Whether it is paid, and whether it goes on."""
    leaves = mine.next_payment_method == Method.BALANCE  # then it ends at Stripe only
    mine.cancel_at_period_end = found["cancel_at_period_end"] and not leaves
    if found["status"] not in UNPAID:
        mine.status = Status.ACTIVE
    elif mine.status != Status.PAST_DUE:
        renewals.past_due(mine, now)
        details = renewals.facts(mine) | {
            "amount": dollars((found["latest_invoice"] or {}).get("amount_remaining", 0) * CENT),
            "balance": None,
            "grace_until": mine.grace_until.isoformat(),
        }
        key = f"plan_renewal_failed:{mine.pk}:{mine.period_end.isoformat()}"
        notices.tell(user_id=mine.user_id, kind="plan_renewal_failed", key=key, facts=details)


def _over(mine: Subscription, found: Object, now: datetime) -> None:
    """It has ended at Stripe: here too, or it goes on from the balance."""
    if mine.status == Status.INCOMPLETE:
        mine.status, mine.ended_at = Status.ENDED, now
    elif mine.payment_method != Method.STRIPE:
        mine.next_payment_method, mine.stripe_id = "", ""  # it never began there
    elif mine.next_payment_method == Method.BALANCE:
        mine.payment_method, mine.next_payment_method = Method.BALANCE, ""
        mine.stripe_id, mine.status, mine.paused_at = "", Status.ACTIVE, None
    elif mine.paused_at is not None:
        # It goes on with us, and with the next period by card again.
        mine.payment_method, mine.next_payment_method = Method.BALANCE, Method.STRIPE
        mine.stripe_id, mine.paused_at = "", None
    else:
        failed = found["cancellation_details"]["reason"] == "payment_failed"
        unpaid = failed or (mine.status == Status.PAST_DUE and not mine.cancel_at_period_end)
        renewals.end(mine, reason="unpaid" if unpaid else "canceled", now=now)


def _tell_paid(mine: Subscription, kind: str, invoice: Object, **changed: str) -> None:
    taxes = [(int(tax["amount"]), tax["tax_behavior"]) for tax in invoice["total_taxes"] or []]
    on_top = sum(amount for amount, behavior in taxes if behavior == "exclusive")
    facts: dict[str, Any] = renewals.facts(mine) | {
        "paid": dollars(invoice["amount_paid"] * CENT),
        "tax": dollars(sum(amount for amount, _ in taxes) * CENT),
        "on_top": dollars(on_top * CENT),
        "invoice": invoice["number"],
        "renews_at": mine.period_end.isoformat(),
        "by_card": True,
    }
    key = f"{kind}:{mine.pk}:{invoice['id']}"
    notices.tell(user_id=mine.user_id, kind=kind, key=key, facts=facts | changed)
