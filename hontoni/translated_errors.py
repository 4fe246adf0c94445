"""Why something is refused, in the customer's own language.

The API answers an error's `message` as it is, in English. A page says the same by its `code`.
"""

import re

from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from hontoni.errors import ApiError
from hontoni.templatetags.money import in_words

MESSAGES: dict[str, Promise] = {
    "account_closed": _("This account is closed."),
    "account_frozen": _("Your account is frozen: until that is settled nothing can be bought."),
    "add_on_active": _("This add-on is active already."),
    "already_member": _("This address is a member's already."),
    "already_subscribed": _("This plan is yours already."),
    "chat_unlinked": _("Link a chat first."),
    "too_many_channels": _("An account has at most 20 channels."),
    "webhook_address": _("It must be an https address on the public internet."),
    "bank_order_refused": _("The payment provider refused the order. Nothing was charged."),
    "bank_transfers_not_set_up": _("Bank transfers are not set up here."),
    "balance_on_hold": _("Running requests hold a part of the money. Try again in a moment."),
    "cannot_have_team": _("This account cannot have a team."),
    "cannot_join": _("This account cannot join a team."),
    "checkout_required": _("Where tax is added, only the payment page can charge a card."),
    "domain_link_ended": _("This link proves nothing any more."),
    "domain_mailbox": _("This mailbox does not stand for a domain."),
    "domain_malformed": _("This is not a domain."),
    "domain_public": _("Anybody gets a mailbox at this domain."),
    "domain_record_missing": _("The TXT record is not there yet: the DNS may take a while."),
    "domain_taken": _("Another team has proven this domain."),
    "email_unconfirmed": _("Confirm your e-mail address first: the link is in our mail."),
    "ends": _("It ends with the period: let it go on first."),
    "ended": _("This attempt has ended. Try again."),
    "gift_taken_by_browser": _("Another account in this browser was given this already."),
    "gift_taken_by_card": _("Another account that pays with your card was given this already."),
    "gift_taken_by_mailbox": _("Another account with your mailbox was given this already."),
    "idempotency_key_reused": _("This form was used for something else. Open it again."),
    "invitation_ended": _("This invitation is used, taken back or too old: ask for another one."),
    "invitation_for_another": _(
        "This invitation is for another address, or for one that you have not confirmed yet."
    ),
    "insufficient_balance": _("Your balance is too low for this. Add funds first."),
    "key_ended": _("This key has ended: make a new one instead."),
    "key_limit_reached": _("Your plan allows no more active keys: revoke one, or upgrade."),
    "key_not_rotatable": _("This key has ended, or is rotated already."),
    "member_stopped": _(
        "An owner or admin of this team has stopped your keys, or one of them: until they start "
        "it again you make no new ones."
    ),
    "not_a_member": _("You are not, or no longer, a member of this team."),
    "no_payment_method": _("Save a card first."),
    "not_a_downgrade": _("Your plan has changed meanwhile. Look at it again."),
    "not_an_upgrade": _("Your plan has changed meanwhile. Look at it again."),
    "not_for_card": _("This cannot be paid by card: pay from your balance."),
    "not_for_sale": _("This is not for sale."),
    "not_subscribed": _("You have no plan and no add-on."),
    "price_changed": _("The price has changed. Look at it again, please."),
    "reset_pass_not_sold": _("No reset pass is sold for your plan now."),
    "reset_pass_used": _("You have had the reset pass of this period."),
    "owner_stays": _("You own a team: hand it over, or delete it, first."),
    "own_key_exists": _("You have a key at that vendor: replace or remove it."),
    "own_key_moved": _("The vendor has moved since the key was entered: enter it again."),
    "paid_from_balance": _("What you have is paid from your balance."),
    "paid_through_stripe": _("What you have is paid by card."),
    "payment_method_unavailable": _("Plans cannot be paid by card here."),
    "payment_pending": _("A payment of yours is running. Try again in a moment."),
    "payments_not_set_up": _("Payments by card are not set up here."),
    "payments_unavailable": _("The payment provider does not answer. Nothing is lost: try again."),
    "payment_refused": _("The payment provider refused this."),
    "provider_address": _("This is not an https address."),
    "provider_failed": _("The team's provider did not answer as it should."),
    "rate_limit_exceeded": _("Too many attempts. Try again later."),
    "referral_already_accepted": _("A referral is accepted once."),
    "renewal_unpaid": _("Your renewal is not paid yet. Add funds first."),
    "role_missing": _("Your role in this team does not allow this."),
    "same_payment_method": _("It is paid like that already."),
    "scopes_conflict": _("A key that manages keys can have neither caps nor a list of models."),
    "self_referral": _("You cannot invite yourself."),
    "service_unavailable": _("This cannot be done right now. Try again in a moment."),
    "sign_on_refused": _("The team's provider may not sign you in with this address."),
    "too_many_domains": _("The team has too many domains."),
    "too_many_orders": _("Too many orders wait to be paid: cancel one."),
    "too_many_teams": _("You own too many teams."),
    "too_late": _("A referral code is accepted within 30 days of signing up."),
    "promo_code_already_used": _("You have used this promo code."),
    "promo_code_expired": _("This promo code has expired."),
    "promo_code_first_time_only": _("This code is for accounts that have never topped up."),
    "promo_code_has_plan": _("You have a plan already."),
    "promo_code_unknown": _("There is no such promo code."),
    "promo_code_used_up": _("This promo code is used up."),
    "token_limit_reached": _("There are too many active tokens: revoke one first."),
    # What banks say, most often.
    "authentication_required": _("Your bank wants to confirm this. Use the payment page."),
    "card_declined": _("The card was declined."),
    "expired_card": _("The card has expired."),
    "generic_decline": _("The card was declined."),
    "insufficient_funds": _("The card has insufficient funds."),
}


# How a field says between which amounts it is to be.
_RANGE = re.compile(r"\w+: from \$(?P<least>[\d.,]+) to \$(?P<most>[\d.,]+)\.")
_UNTOLD = _("Something in this does not fit. Look at it again.")


def to_staff(error: ApiError) -> str:
    """What a page of staff's says about it: all that the API would."""
    if error.about:
        return gettext(error.template) % error.about
    return gettext(error.message)


def translated(error: ApiError) -> str:
    """What a page says about it: never English to who reads another language."""
    if error.code in MESSAGES:
        return str(MESSAGES[error.code])
    if found := _RANGE.fullmatch(error.message):
        shown = {name: in_words(text.replace(",", "")) for name, text in found.groupdict().items()}
        return str(_("From %(least)s to %(most)s.")) % shown
    return error.message if (get_language() or "en").startswith("en") else str(_UNTOLD)
