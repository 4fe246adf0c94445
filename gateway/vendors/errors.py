"""A vendor's refusal on its way to our customer, and to us where it is ours to repair.

What it means is `codecs.failures`' to say (protocols.md section 4.2). Here: the alarm for our key,
our bill and our catalogue, and how long a client is told to wait.
"""

import logging
import math
from dataclasses import replace

from gateway.dialects.codecs import failures
from gateway.dialects.ir import Failed
from gateway.vendors.own_keys import failing
from hontoni.errors import ApiError, NotFound

logger = logging.getLogger(__name__)

_LEAST_RETRY_SECONDS, _MOST_RETRY_SECONDS = 1, 60
_BUSY_SECONDS = 2
_STALE = (
    "The reasoning in this conversation is not valid for the model any more, and the model does "
    "not answer without it either. Start a new conversation."
)
_OURS = frozenset(
    (
        *("insufficient_quota", "credit_balance_exhausted", "billing_error"),
        *("authentication_error", "permission_error", "invalid_api_key", "model_not_found"),
        *("UNAUTHENTICATED", "PERMISSION_DENIED", "401", "402", "403"),
        *("AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException"),
        *("ExpiredTokenException", "MissingAuthenticationTokenException"),
    )
)


_LIMITS = frozenset(("rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"))


def from_reply(
    status: int, body: bytes, retry_after: str, credential: str, kind: str = ""
) -> Failed:
    """What a vendor's non-2xx answer to a credential of ours means. `kind`: what its headers call
    it (AWS's do)."""
    failed = parsed(status, body, retry_after, kind)
    if status in (401, 402, 403, 404) and is_theirs(failed):
        failed = replace(failed, vendor_code=failed.vendor_code or str(status))
        logger.critical("upstream.refuses_us %s %s %s", credential, status, failed.vendor_code)
    return failed


def parsed(status: int, body: bytes, retry_after: str, kind: str = "") -> Failed:
    """The same of whoever's credential, with nobody alarmed."""
    failed = failures.parse(body, status, _seconds(retry_after))
    if kind and not failed.vendor_code:
        failed = replace(failed, vendor_code=kind)
    return failed


def _retired(vendor: str, model: str, successor: str) -> NotFound:
    """A model that its vendor does not have any more, whatever our catalogue says."""
    logger.critical("upstream.model_retired %s %s", vendor, model)
    instead = f"Use {successor}." if successor else "GET /v1/models lists what there is."
    return NotFound(
        f"The model {model} is retired or renamed at its provider. {instead}",
        code=failures.RETIRED,
        param="model",
        details={"successor": successor or None},
    )


def _seconds(retry_after: str) -> float | None:
    """Of a Retry-After; a date is not worth reading where a minute is the most we wait."""
    try:
        seconds = float(retry_after)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def is_theirs(failed: Failed) -> bool:
    """Whether another credential may do better: not where the request is wrong, nor where the
    model muddled its answer."""
    if failed.code == failures.RETIRED or failed.code in failing.CODES:
        return True
    return failed.status >= 500 and failed.message != failures.malformed("").message


def limits(failed: Failed, status: int | None) -> bool:
    """Whether the credential has asked more often than it may."""
    return status == 429 or failed.vendor_code in _LIMITS


def refuses_us(failed: Failed) -> bool:
    """Whether the credential itself was refused, or its account is out of money."""
    if failed.code in failing.CODES:
        return failing.refuses(failed)
    return failed.vendor_code in _OURS - {"model_not_found"}


def raised(failed: Failed, vendor: str, model: str, successor: str = "") -> ApiError:
    """The error to answer with. `successor`: the model to ask instead, if one is known."""
    if failed.code in failing.CODES:
        return failures.error(failed)
    if failed.vendor_code in _OURS:
        logger.critical("upstream.refuses_us %s %s", vendor, failed.vendor_code)
    if failed.code == failures.RETIRED:
        return _retired(vendor, model, successor)
    if failed.vendor_code == failures.STALE:
        failed = replace(failed, message=_STALE)
    if failed.status == 503:
        seconds = failed.retry_after or _BUSY_SECONDS
        bounded = min(max(seconds, _LEAST_RETRY_SECONDS), _MOST_RETRY_SECONDS)
        failed = replace(failed, retry_after=bounded)
    return failures.error(failed)
