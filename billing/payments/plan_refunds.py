"""What went back of a plan or an add-on that a card paid: to the card, or to the balance.

Always true, of each of Stripe's invoices:

1. What staff gave back to the balance, and what went back to the card, is no more than was paid.
   The card comes first: what Stripe refunded or a bank took is gone, and what the balance has too
   much of it then is taken back from it, even below zero. If the card's part is undone (a refund
   that failed, a dispute that was won), the balance has it again.
2. No balance moves with what goes to the card. Both have a credit note, or an invoice of what is
   undone, that names Stripe's; what the balance gives or gets for that is booked with it.
3. A tax that came on top stays paid with what goes to the balance: a balance is taxed when it is
   paid in, as a top-up is. So $6.60 with $0.60 of it are worth a balance of $6.

Amounts are nano-dollars, but for `cents`.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from billing.books import ledger
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.invoices import issuing, taxes
from billing.invoices.issuing import Line, Payment
from billing.invoices.models import Invoice
from billing.invoices.taxes import Tax
from billing.payments import documents, refund_notices
from billing.stripe import stripe_api
from billing.stripe.stripe_api import Object
from billing.subscriptions import card_bills
from billing.subscriptions.card_bills import CardBill
from hontoni.money import CENT

GIVEN, TAKEN = "Back to your balance", "Back from your balance"


@dataclass(slots=True)
class Returned:
    """Of one invoice: `carded` went to the card, tax included; `given` by staff to the balance,
    of which it has `kept` what was not taken back since."""

    bill: CardBill
    carded: int = 0
    given: int = 0
    kept: int = 0

    @property
    def gone(self) -> int:
        """Of what was paid, tax included."""
        return self.carded + taxes.share(self.bill.paid, self.kept, self.bill.worth)

    @property
    def left(self) -> int:
        """What the balance may still be given."""
        return self._room() - self.kept

    @property
    def due(self) -> int:
        """What the balance is to get again, or to give back (negative)."""
        return min(self.given, max(self._room(), 0)) - self.kept

    def _room(self) -> int:
        """What the balance may have of it at most."""
        return self.bill.worth - taxes.share(self.bill.worth, self.carded, self.bill.paid)


def returned(user_id: int) -> dict[str, Returned]:
    """Of each invoice of Stripe's that a card of the account's paid for a plan, by its number; the
    newest first."""
    bills = [bill for bill in card_bills.paid(user=user_id) if bill.worth > 0]
    found = {bill.number: Returned(bill) for bill in reversed(bills)}
    if not found:
        return {}
    for number, total in documents.credited(user_id, transfer=None).items():
        if number in found:
            found[number].carded += total
    code = ledger.wallet_code(user_id)
    for sign, side in ((1, Q(credit__code=code)), (-1, Q(debit__code=code))):
        moved = Transfer.objects.filter(side, ~Q(kind=Kind.USAGE), kind=Kind.BALANCE_REFUND)
        for ref, amount in moved.values_list("ref", "amount"):
            if each := found.get(ref.get("invoice", "")):
                each.kept += sign * amount
                each.given += 0 if "cause" in ref else amount
    return found


def lock(user_id: int) -> None:
    """Until the transaction ends nothing else goes back to this balance, nor of its plans."""
    ledger.wallet(user_id)
    ledger.lock([ledger.COUNTERPARTS[Kind.BALANCE_REFUND], ledger.wallet_code(user_id)])


def to_card(
    user: User, intent: str, cause: str, cents: int, now: datetime, *, is_refund: bool = True
) -> Invoice | None:
    """Document `cents` of a plan that went back to a card, or (below 0) came from it again.

    Nothing where Stripe has no invoice of the payment. The cause again is the same one. A refund
    is told to who paid; a dispute is told of by who settles it.
    """
    if Invoice.objects.filter(cause=cause).exists() or not cents:
        return None
    theirs = stripe_api.invoice_of(intent)
    if theirs is None:
        return None
    with transaction.atomic():
        lock(user.pk)
        number = theirs["number"]
        tax = _tax(user, theirs, cents)
        payment = Payment(
            by="Card",
            tax=Tax(tax, "Tax", on_top=True) if tax else taxes.NONE,
            credits=[number],
        )
        lines = [Line(f"Back to your card: invoice {number}", -cents * CENT - tax)]
        made = issuing.issue(cause=cause, user=user, lines=lines, now=now, payment=payment)
        if each := returned(user.pk).get(number):
            _even_out(user, each, cause, now)
        if is_refund:
            whole = _is_gone(user.pk, theirs)
            refund_notices.of_plan(user.pk, cause, number, cents, whole=whole)
    return made


def _is_gone(user_id: int, theirs: Object) -> bool:
    """Whether nothing is left of what was paid."""
    number = theirs["number"]
    if each := returned(user_id).get(number):
        return each.gone >= each.bill.paid
    carded = documents.credited(user_id, transfer=None).get(number, 0)
    return carded >= int(theirs["amount_paid"]) * CENT


def _tax(user: User, theirs: Object, cents: int) -> int:
    """Negative on a credit note; together, all parts are all of the tax."""
    earlier = Invoice.objects.filter(user=user, transfer=None).defer("pdf")
    about = [(one.total, one.tax) for one in earlier if one.credits == [theirs["number"]]]
    back = -sum(total for total, _ in about) + cents * CENT
    whole = sum(int(tax["amount"]) for tax in theirs["total_taxes"] or [])
    credited: int = sum(tax for _, tax in about)
    return -taxes.share(back, whole, theirs["total"] or 1) - credited


def _even_out(user: User, each: Returned, cause: str, now: datetime) -> None:
    """Rule 1, in the transaction that documents what went to the card or came from it."""
    if not each.due:
        return
    number = each.bill.number
    moved, _ = ledger.post(
        key=f"{cause}:balance",
        kind=Kind.BALANCE_REFUND,
        user_id=user.pk,
        amount=each.due,
        reason=GIVEN if each.due > 0 else TAKEN,
        ref={"invoice": number, "cause": cause},
    )
    document(user, moved, each.due, number, now)


def document(
    user: User, moved: Transfer, amount: int, number: str, now: datetime, *, by_card: bool = True
) -> Invoice:
    """A credit note of what the balance was given of an invoice; an invoice of what was taken
    back from it."""
    said = f"{GIVEN if amount > 0 else TAKEN}: invoice {number}"
    payment = Payment(tax=Tax(note=taxes.STAYS_PAID), credits=[number])
    return issuing.issue(
        transfer=moved,
        user=user,
        lines=[Line(said, -amount)],
        now=now,
        payment=payment if by_card else Payment(credits=[number]),
    )
