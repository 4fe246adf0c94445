"""A range of requests, priced anew and booked: previewed first, then once for each account.

Always true:

1. What an account was charged too much is credited. What it was charged too little is debited
   only if asked for, only from who may use the account and has the money, and never beyond what
   was held for the request (costs.py).
2. An account's requests, its one transfer, its document, its mail and its rollups are written in
   one transaction, under the wallet's lock: so running it twice, or at the same time, changes
   nothing more. A request that was corrected before is corrected from its last state.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext, gettext_noop

from accounts.models import User
from billing.books import audit, checkpoints, ledger
from billing.books.models import Transfer
from billing.invoices import issuing
from billing.invoices.issuing import Line
from billing.mails import notices
from billing.subscriptions import purchases
from gateway.catalogue.models import Price
from gateway.catalogue.snapshot import price_of
from gateway.usage import overflow, spending, vendor_days
from gateway.usage.corrections import costs
from gateway.usage.corrections.models import (
    CorrectedAccount,
    CorrectedRequest,
    Correction,
    corrected,
)
from gateway.usage.models import UsageEvent, UsageHour
from gateway.usage.request_ids import first_id
from hontoni import errors
from hontoni.money import dollars


@dataclass(frozen=True, slots=True)
class Range:
    """The requests with the model of `price` admitted from `since` to before `until`, of one
    account or (None) of all."""

    price: Price
    since: datetime
    until: datetime
    user_id: int | None = None

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise errors.BadRequest(gettext("The range ends before it begins."), param="until")
        self.must_be_here()

    def must_be_here(self) -> None:
        """Raises BadRequest for requests that are in the archive."""
        until = checkpoints.archived_until()
        if until is not None and self.since < until:
            raise errors.BadRequest(
                "Requests of before %(until)s are in the archive.",
                param="since",
                about={"until": f"{until:%Y-%m-%d}"},
            )

    def events(self) -> QuerySet[UsageEvent]:
        # The id is a UUIDv7: a range of time is a range of ids. A second more, for its clock.
        begin, end = self.since.timestamp() - 1, self.until.timestamp() + 1
        mine = Q(model=self.price.model_id) | Q(details__has_key="lines")
        found = UsageEvent.objects.filter(mine, id__gte=first_id(begin), id__lt=first_id(end))
        found = found.filter(created_at__gte=self.since, created_at__lt=self.until)
        return found if self.user_id is None else found.filter(user_id=self.user_id)


@dataclass(frozen=True, slots=True)
class Change:
    """One request: what it costs as things stand, and what it should."""

    event: UsageEvent
    old: int
    new: int

    @property
    def more(self) -> int:
        return self.new - self.old


@dataclass(frozen=True, slots=True)
class Sum:
    """What a range changes for one account. `odd` requests are not charged by prices; `refused`
    says why what was too cheap is not debited, if it is not."""

    user_id: int
    requests: int = 0
    credited: int = 0
    debited: int = 0
    odd: int = 0
    refused: str = ""


def preview(wanted: Range, *, debit: bool = False) -> list[Sum]:
    """What `apply` would do now, account by account. Moves nothing."""
    return [found for user_id in _accounts(wanted) if (found := _sum(wanted, user_id, debit))]


def _accounts(wanted: Range) -> list[int]:
    users = wanted.events().order_by("user_id").values_list("user_id", flat=True)
    return list(users.distinct())


def _sum(wanted: Range, user_id: int, debit: bool) -> Sum | None:
    changes, odd = changes_of(wanted, user_id)
    if not (changes or odd):
        return None
    whole = _added_up(user_id, changes, odd)
    if not whole.debited:
        return whole
    refused = _refusal(whole) if debit else f"${dollars(whole.debited)} too little was charged"
    if not refused:
        return whole
    cheaper = [each for each in changes if each.more < 0]
    return replace(_added_up(user_id, cheaper, odd), refused=refused)


def _added_up(user_id: int, changes: Sequence[Change], odd: int) -> Sum:
    return Sum(
        user_id,
        requests=len(changes),
        credited=-sum(min(each.more, 0) for each in changes),
        debited=sum(max(each.more, 0) for each in changes),
        odd=odd,
    )


def _refusal(whole: Sum) -> str:
    """Why an account would not be debited as things stand; empty if it would."""
    try:
        _may_be_debited(User.objects.get(pk=whole.user_id))
    except errors.PaymentRequired as error:
        return error.message
    more = whole.debited - whole.credited
    return (
        gettext_noop("The balance does not cover it.")
        if more > ledger.balance(whole.user_id)
        else ""
    )


def changes_of(wanted: Range, user_id: int) -> tuple[list[Change], int]:
    """What an account's requests of the range cost and should cost, where that differs; and how
    many are not charged by prices."""
    found, odd, model = [], 0, wanted.price.model_id
    price = price_of(wanted.price)
    events = list(corrected(wanted.events().filter(user_id=user_id)).order_by("id"))
    names = {name for event in events for name in costs.named(event)}
    versions = {row.pk: price_of(row) for row in Price.objects.filter(pk__in=names)}
    for event in events:
        if not costs.involves(event, model):
            continue
        new = costs.anew(event, versions, model, price)
        if new is None:
            odd += 1
        elif new != event.charged:
            found.append(Change(event, event.charged, new))
    return found, odd


def apply(
    wanted: Range, *, reason: str, actor: str, debit: bool = False, request_id: str = ""
) -> tuple[Correction | None, list[Sum]]:
    """Book it. Answers the correction (None: there was nothing to correct), and what was done.

    Raises BadRequest without a reason, Unavailable where Redis is; what is booked by then stays,
    and doing it again does the rest.
    """
    if not reason.strip():
        raise errors.BadRequest(gettext("A reason is required."), param="reason")
    planned = preview(wanted, debit=debit)
    if not any(each.requests for each in planned):
        return None, planned
    correction = Correction.objects.create(
        price=wanted.price,
        since=wanted.since,
        until=wanted.until,
        user_id=wanted.user_id,
        debits=debit,
        actor=actor,
        reason=reason.strip(),
    )
    done: list[Sum] = []
    try:
        for each in planned:
            done.append(_booked(correction, wanted, each, debit) if each.requests else each)
    finally:
        _audit(correction, done, request_id)
    return correction, done


def _audit(correction: Correction, done: Iterable[Sum], request_id: str) -> None:
    audit.record(
        actor=correction.actor,
        action="correct requests",
        subject=f"correction:{correction.pk}",
        before={
            "model": correction.price.model_id,
            "from": correction.since.isoformat(),
            "to": correction.until.isoformat(),
            "account": correction.user_id,
        },
        after={
            "price": correction.price_id,
            "reason": correction.reason,
            "debits": correction.debits,
            "requests": sum(each.requests for each in done),
            "credited": dollars(sum(each.credited for each in done)),
            "debited": dollars(sum(each.debited for each in done)),
        },
        request_id=request_id,
    )


def _booked(correction: Correction, wanted: Range, planned: Sum, debit: bool) -> Sum:
    user, refused = User.objects.get(pk=planned.user_id), planned.refused
    if debit:
        try:
            _may_be_debited(user)
            return _book(correction, wanted, user, debit=True) or Sum(user.pk, odd=planned.odd)
        except (errors.PaymentRequired, errors.Forbidden) as error:
            refused = error.message
    done = _book(correction, wanted, user, debit=False) or Sum(user.pk)
    return Sum(user.pk, done.requests, done.credited, 0, planned.odd, refused)


def _may_be_debited(user: User) -> None:
    """Raises PaymentRequired for who cannot use what he would pay for."""
    if not user.is_active or user.frozen_at is not None:
        raise errors.PaymentRequired(gettext_noop("The account is frozen or deleted."))


def _book(correction: Correction, wanted: Range, user: User, *, debit: bool) -> Sum | None:
    """One account, in one transaction. Raises PaymentRequired if it cannot pay the difference."""
    # As a batch of usage: the wallet's account first and alone (billing/books/ledger.py).
    with purchases.opened(user.pk, ours=()) as purchase:
        changes, odd = changes_of(wanted, user.pk)
        changes = [each for each in changes if debit or each.more < 0]
        if not changes:
            return None
        done = _added_up(user.pk, changes, odd)
        transfer = _pay(purchase, correction, done)
        CorrectedAccount.objects.create(
            correction=correction,
            user=user,
            requests=done.requests,
            credited=done.credited,
            debited=done.debited,
            transfer=transfer,
        )
        CorrectedRequest.objects.bulk_create(
            CorrectedRequest(
                correction=correction, event=each.event, old_cost=each.old, new_cost=each.new
            )
            for each in changes
        )
        wanted.must_be_here()  # nobody takes them out from now on (gateway/archive/dropping.py)
        _roll_up(changes)
        _tell(correction, user, done, transfer)
        vendor_days.correct((each.event, each.more) for each in changes)
        overflow.correct((each.event, each.more) for each in changes)
        spending.corrected(
            user.pk, [(c.event.api_key_id, c.event.created_at, c.more) for c in changes]
        )
        spending.corrected_overflow(
            user.pk,
            [
                (c.event.api_key_id, c.event.created_at, c.more)
                for c in changes
                if overflow.went_past(c.event)
            ],
        )
    return done


def _pay(purchase: purchases.Purchase, correction: Correction, done: Sum) -> Transfer | None:
    amount = done.debited - done.credited
    if not amount:
        return None
    return purchase.pay(
        key=f"correction:{correction.pk}:{done.user_id}",
        amount=amount,
        reason=correction.reason,
        ref={"correction": correction.pk, "requests": done.requests},
        kind=ledger.Kind.CORRECTION,
        actor=correction.actor,
    )


def _roll_up(changes: Iterable[Change]) -> None:
    """The rollups tell what was charged, as corrected."""
    sums: defaultdict[tuple[int, datetime, int, str, str], int] = defaultdict(int)
    for each in changes:
        event = each.event
        hour = event.created_at.replace(minute=0, second=0, microsecond=0)
        sums[event.user_id, hour, event.api_key_id, event.model, event.tool] += each.more
    for (user_id, hour, api_key_id, model, tool), more in sums.items():
        UsageHour.objects.filter(
            user_id=user_id, hour=hour, api_key_id=api_key_id, model=model, tool=tool
        ).update(cost=F("cost") + more)


def _tell(correction: Correction, user: User, done: Sum, transfer: Transfer | None) -> None:
    """The credit note or invoice, and the mail."""
    model, amount = correction.price.model_id, done.debited - done.credited
    invoice = None
    if transfer is not None:
        text = (
            f"Correction of {done.requests} requests with {model} "
            f"from {_utc(correction.since)} to {_utc(correction.until)} UTC"
        )
        invoice = issuing.issue(
            transfer=transfer, user=user, lines=[Line(text, amount)], now=transfer.created_at
        )
    notices.tell(
        user_id=user.pk,
        kind="correction",
        key=f"correction:{correction.pk}:{user.pk}",
        facts={
            "correction": correction.pk,
            "model": model,
            "from_at": correction.since.isoformat(),
            "to_at": correction.until.isoformat(),
            "requests": done.requests,
            "amount": dollars(abs(amount)),
            "credited": amount <= 0,
            "reason": correction.reason,
            "invoice": invoice.number if invoice else None,
            "balance": dollars(ledger.balance(user.pk)),
        },
    )


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
