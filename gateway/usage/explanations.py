"""What each refusal means and what to do about it, for the owner of the key, in their language.

The documentation (docs/80-errors.md) says the same in more words; a test keeps both complete.
"""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from gateway.usage.models import Refusal

_WINDOW = _("A window of your plan is used up. A larger plan or an add-on has more room.")
_CAP = _("The key's spend cap is reached. Raise the cap on the key's page, or wait.")
_MEMBER_CAP = _(
    "The spend cap of the key's member is reached. An admin of the team can raise it, or wait."
)
EXPLANATIONS: dict[str, Promise | str] = {
    "account_frozen": _("Your account is frozen. Write to us."),
    "balance_on_hold": _(
        "Requests that were still running held the money. A retry or a top-up helps."
    ),
    "batch_limit_reached": _("As many of your batches were open as may be."),
    "batch_not_found": _("You have no batch of that id."),
    "concurrency_limit": _(
        "More requests ran at the same time than your plan allows, and no slot became free."
    ),
    "content_policy": _("The model's vendor refuses such content. It was not charged."),
    "context_length_exceeded": _("The prompt was longer than the model's context."),
    "file_not_found": _("You have no file of that id, or it is kept no longer."),
    "file_storage_full": _("Your files and batches take all the room there is."),
    "file_unreadable": _("It was sealed under a key that is gone. Send it again."),
    "insufficient_balance": _(
        "The request could cost more than your balance. Top up, or ask for fewer max_tokens."
    ),
    "invalid_api_key": _("This key is revoked or expired, and something still uses it."),
    "invalid_encoding": _("The request's body was not compressed as its header says."),
    "invalid_image_url": _("An image could not be fetched from its address."),
    "invalid_json": _("The request's body was no valid JSON."),
    "invalid_request": _("A parameter was missing or wrong: the message names it."),
    "ip_not_allowed": _(
        "The key was used from an address its limits do not allow. Was it you? "
        "If not, rotate the key."
    ),
    "key_brake_loop": _("The key's loop brake: the very same prompt came too often."),
    "key_brake_spend": _(
        "The key's brake: it spent in ten minutes what it may. Change its guard, or wait."
    ),
    "key_cap_daily": _CAP,
    "key_cap_lifetime": _(
        "The key has spent all it may. It stays so until you raise its cap; or make another key."
    ),
    "key_cap_monthly": _CAP,
    "key_cap_on_hold": _("Requests that were still running held what the key's cap leaves."),
    "key_cap_reached": _CAP,
    "key_guard_on_hold": _(
        "Requests that were still running held what the key's brake or session budget leaves."
    ),
    "key_session_budget": _(
        "The session has spent its budget. Begin another one, or raise the budget of the key."
    ),
    "key_stopped": _("The key is stopped. Start it again on its page."),
    "member_cap_daily": _MEMBER_CAP,
    "member_cap_lifetime": _MEMBER_CAP,
    "member_cap_monthly": _MEMBER_CAP,
    "member_cap_on_hold": _("Requests that were still running held what the member's cap leaves."),
    "member_cap_reached": _MEMBER_CAP,
    "method_not_allowed": _("The address exists, but not with this HTTP method."),
    "model_not_allowed": _("The key's limits do not allow this model."),
    "model_not_found": _("There is no model of that name here."),
    "model_retired": _("That model has ended. The message names its successor."),
    "model_not_supported": _("The model cannot be reached this way at present."),
    "not_found": _("There is nothing at this address."),
    "own_key_model_missing": _("Your own account at the vendor does not have this model."),
    "own_key_out_of_credit": _("Your own account at the vendor is out of credit or quota."),
    "own_key_rate_limited": _("Your own account at the vendor has reached its rate limit."),
    "own_key_refused": _("The vendor does not accept your own key. Replace or test it."),
    "own_key_unavailable": _("Your own key must be entered again, or is no longer taken."),
    "plan_limit_5h": _WINDOW,
    "plan_limit_daily": _WINDOW,
    "plan_limit_monthly": _WINDOW,
    "plan_limit_weekly": _WINDOW,
    "previous_response_not_found": _("We keep no conversations: send the whole one."),
    "rate_limit_exceeded": _("More requests in 60 seconds than your plan allows."),
    "request_too_large": _("The request's body was too large."),
    "results_expired": _("The results of that batch are kept no longer."),
    "unsupported_parameter": _("The model does not know a parameter: the message names it."),
    "unsupported_encoding": _("The request's body was compressed in a way we do not read."),
    "websocket_limit": _("Your account had too many WebSockets open on one server."),
    "websocket_queue_full": _("Too many requests waited on one WebSocket."),
    "upgrade_not_supported": _("The tool tried a WebSocket; it falls back to POST by itself."),
}
_UNKNOWN = _("The message says what was wrong.")


def explain(refusal: Refusal) -> Promise | str:
    """What to tell the owner of the key."""
    return EXPLANATIONS.get(refusal.code, _UNKNOWN)
