"""A dispute that staff answer: evidence goes to the bank through Stripe, once, before it is due.

What is handed in is kept with the dispute as it was sent. Stripe takes it as text, by the names of
its fields (https://docs.stripe.com/api/disputes/evidence_object).
"""

from collections.abc import Mapping

from django.utils import timezone

from billing.books import audit
from billing.payments import settlements
from billing.payments.models import Dispute
from billing.stripe import stripe_api
from hontoni import errors

# What we can say of a service that is used over the network, in the order of a form.
FIELDS = (
    *("product_description", "customer_name", "customer_email_address", "customer_purchase_ip"),
    *("billing_address", "service_date", "access_activity_log", "refund_policy_disclosure"),
    *("refund_refusal_explanation", "uncategorized_text"),
)

MOST_CHARACTERS = 150_000  # of all fields together


def label(field: str) -> str:
    """What a field is called on a page: "Customer purchase IP"."""
    return field.replace("_", " ").capitalize().replace(" ip", " IP")


def answer(
    dispute: Dispute, evidence: Mapping[str, str], *, actor: str, request_id: str = ""
) -> Dispute:
    """Hand in what is not empty of it, and let the bank decide.

    Raises BadRequest for nothing, too much, or fields that are not FIELDS; Conflict for a dispute
    that wants no answer, or none any more; and as stripe_api.
    """
    given = {name: text.strip() for name, text in evidence.items() if text.strip()}
    _check(dispute, given)
    audit.record(
        actor=actor,
        action="answer dispute",
        subject=f"dispute:{dispute.pk}",
        before={"status": dispute.status},
        after={"evidence": sorted(given), "characters": sum(map(len, given.values()))},
        request_id=request_id,
    )
    stripe_api.answer_dispute(dispute.pk, given, key=f"dispute:{dispute.pk}:answer")
    Dispute.objects.filter(pk=dispute.pk).update(
        evidence=given, answered_at=timezone.now(), answered_by=actor
    )
    return _settled(dispute)


def _check(dispute: Dispute, given: Mapping[str, str]) -> None:
    if dispute.status not in Dispute.ANSWERABLE:
        raise errors.Conflict("The bank wants no answer to it.")
    if dispute.due_at is not None and dispute.due_at < timezone.now():
        raise errors.Conflict("It is past due: the bank takes no answer any more.")
    if not given:
        raise errors.BadRequest("Evidence is required.")
    if unknown := given.keys() - set(FIELDS):
        raise errors.BadRequest(
            "Stripe knows no %(names)s.", about={"names": ", ".join(sorted(unknown))}
        )
    if (length := sum(map(len, given.values()))) > MOST_CHARACTERS:
        raise errors.BadRequest(
            "%(length)s characters: up to %(most_characters)s are read.",
            about={"length": f"{length:,}", "most_characters": f"{MOST_CHARACTERS:,}"},
        )


def give_up(dispute: Dispute, *, reason: str, actor: str, request_id: str = "") -> Dispute:
    """Let the bank have it: the money stays where it is. Raises Conflict for one that is over, and
    as stripe_api."""
    if dispute.status not in Dispute.ANSWERABLE:
        raise errors.Conflict("The bank wants no answer to it.")
    audit.record(
        actor=actor,
        action="give up dispute",
        subject=f"dispute:{dispute.pk}",
        before={"status": dispute.status},
        after={"reason": reason},
        request_id=request_id,
    )
    stripe_api.close_dispute(dispute.pk)
    return _settled(dispute)


def _settled(dispute: Dispute) -> Dispute:
    settlements.settle_dispute(dispute.pk)
    dispute.refresh_from_db()
    return dispute
