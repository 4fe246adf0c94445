"""Credits by those who may not give any amount: a little at once, more with a second person.

* SUPPORT_CREDIT_LIMIT is for one member of staff and any 24 hours, whomever it goes to: many small
  credits are no way around it.
* What is above it, and whatever takes money, is a request. Somebody else approves it; nobody
  approves his own, and the database refuses it, too.
* An approved request is booked once, as an adjustment by who approved it.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from accounts.models import User
from billing.books import adjustments, audit
from billing.books.models import CreditRequest, Transfer
from hontoni import errors
from hontoni.money import dollars, nanos

DAY = timedelta(days=1)
State = CreditRequest.State


def _at_once(staff: User) -> str:
    """How the keys of what somebody gave within the limit begin."""
    return f"support:{staff.pk}:"


def left(staff: User) -> int:
    """Nano-dollars that this member of staff may still give in these 24 hours, under whatever
    address."""
    given = Transfer.objects.filter(
        kind=Transfer.Kind.ADJUSTMENT,
        key__startswith=_at_once(staff),
        created_at__gte=timezone.now() - DAY,
    )
    used = given.aggregate(sum=Sum("amount", default=0))["sum"]
    return max(nanos(settings.SUPPORT_CREDIT_LIMIT) - int(used), 0)


@transaction.atomic
def credit(
    *, key: str, user_id: int, amount: int, reason: str, staff: User, request_id: str = ""
) -> CreditRequest | None:
    """Give it, if that is within the limit; else the request that was made of it. Twice under a
    key is once. Raises as `adjustments.adjust`."""
    adjustments.check_amount(amount)
    if not reason.strip():
        raise errors.BadRequest("A reason is required.", param="reason")
    User.objects.select_for_update().get(pk=staff.pk)  # one after the other
    earlier = CreditRequest.objects.filter(key=key).first()
    if earlier is not None:
        return earlier
    mine = f"{_at_once(staff)}{key}"
    if Transfer.objects.filter(key=mine).exists() or 0 < amount <= left(staff):
        adjustments.adjust(
            key=mine,
            user_id=user_id,
            amount=amount,
            reason=reason,
            actor=staff.email,
            request_id=request_id,
        )
        return None
    return _request(key, user_id, amount, reason, staff, request_id)


def _request(
    key: str, user_id: int, amount: int, reason: str, staff: User, request_id: str
) -> CreditRequest:
    request = CreditRequest.objects.create(
        key=key,
        user_id=user_id,
        amount=amount,
        reason=reason,
        requester=staff,
        requested_by=staff.email,
    )
    audit.record(
        actor=staff.email,
        action="request credit",
        subject=f"user:{user_id}",
        before={"requested": False},
        after={"amount": dollars(amount), "reason": reason, "request": request.pk},
        request_id=request_id,
    )
    return request


@transaction.atomic
def approve(pk: int, *, staff: User, request_id: str = "") -> CreditRequest:
    """Book it. Raises Forbidden to who requested it, Conflict if it is decided."""
    request = _open(pk, staff)
    adjustments.adjust(
        key=f"request:{request.pk}",
        user_id=request.user_id,
        amount=request.amount,
        reason=request.reason,
        actor=staff.email,
        request_id=request_id,
    )
    return _decide(request, State.APPROVED, staff, "", request_id)


@transaction.atomic
def decline(pk: int, *, note: str, staff: User, request_id: str = "") -> CreditRequest:
    """Nothing is booked. Raises as `approve`."""
    return _decide(_open(pk, staff), State.DECLINED, staff, note, request_id)


def _open(pk: int, staff: User) -> CreditRequest:
    request = CreditRequest.objects.select_for_update().get(pk=pk)
    if request.state != State.OPEN:
        raise errors.Conflict(
            "It was %(state)s by %(decided_by)s.",
            about={"state": request.state, "decided_by": request.decided_by},
        )
    if request.requester_id == staff.pk:
        raise errors.Forbidden("Somebody else decides about what you requested.")
    return request


def _decide(
    request: CreditRequest, state: CreditRequest.State, staff: User, note: str, request_id: str
) -> CreditRequest:
    request.state, request.note = state, note
    request.decider, request.decided_by = staff, staff.email
    request.decided_at = timezone.now()
    request.save()
    audit.record(
        actor=staff.email,
        action=f"{state} credit",
        subject=f"user:{request.user_id}",
        before={"state": "open", "requested_by": request.requested_by},
        after={"state": state, "amount": dollars(request.amount), "note": note},
        request_id=request_id,
    )
    return request
