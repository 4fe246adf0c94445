"""A customer's own key that fails is the customer's to repair, and told so: with our word for it,
the vendor's status and the vendor's own words. What fails for another reason is told as ever.
"""

from dataclasses import replace

from gateway.dialects.codecs import failures
from gateway.dialects.ir import Failed

REFUSED, EMPTY, LIMITED = "own_key_refused", "own_key_out_of_credit", "own_key_rate_limited"
MISSING, CLOSED = "own_key_model_missing", "own_key_unavailable"
CODES = frozenset((REFUSED, EMPTY, LIMITED, MISSING, CLOSED))
PAGE = "/own-keys"

_FUNDS = frozenset(("insufficient_quota", "credit_balance_exhausted", "billing_error", "402"))
_KEY = frozenset(
    (
        *("authentication_error", "permission_error", "invalid_api_key"),
        *("UNAUTHENTICATED", "PERMISSION_DENIED", "401", "403"),
    )
)
_LIMIT = frozenset(("rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED", "429"))
_WHAT = {
    REFUSED: (403, "permission_error", "does not accept your own key"),
    EMPTY: (402, "billing_error", "says that the account of your own key is out of credit"),
    LIMITED: (429, "rate_limit_error", "limits how often your own key may ask"),
    MISSING: (404, "not_found_error", "does not have this model for your own key"),
}


def told(failed: Failed, provider: str, prefix: str, status: int | None, words: str) -> Failed:
    """The same in words for whose key it is. `words` are the vendor's."""
    code = _code(failed, status)
    if not code:
        return failed
    ours, kind, what = _WHAT[code]
    answer = f"{status} {words}".strip() if status and status >= 400 else words
    message = f"{provider} {what} ({prefix}…): {answer or failed.vendor_code}. See {PAGE}."
    return replace(failed, status=ours, type=kind, code=code, message=message)


def refuses(failed: Failed) -> bool:
    """Whether asking again with this key is of no use until its owner does something."""
    return failed.code in (REFUSED, EMPTY)


def _code(failed: Failed, status: int | None) -> str:
    word = failed.vendor_code
    if word in _FUNDS or status == 402:
        return EMPTY
    if failed.code == failures.RETIRED:
        return MISSING
    if failed.status == 400 or failed.status == 413 or status in (400, 413, 422):
        return REFUSED if word == "invalid_api_key" else ""
    if word in _LIMIT or status == 429:
        return LIMITED
    if word in _KEY or status in (401, 403):
        return REFUSED if failed.status >= 500 else ""
    return ""
