"""The errors Stripe answers with (https://docs.stripe.com/api/errors).

* `invalid_request_error`  400, 401 (no key or a wrong one), 404
* `card_error`             402, with `decline_code` where the issuer gave one
* `idempotency_error`      400 for other parameters, 409 while the first request still runs
* `rate_limit` and `api_error`  429 and 5xx, only when a fault was ordered
"""

from typing import Any

Object = dict[str, Any]


class StripeError(Exception):
    """One error, as it goes over the wire. `stored` tells idempotency whether to remember it."""

    def __init__(self, status: int, type: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.stored = fields.pop("stored", True)
        given = {name: value for name, value in fields.items() if value is not None}
        self.error: Object = {"type": type, "message": message, **given}
        if code := given.get("code"):
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"

    def body(self) -> Object:
        """The JSON body."""
        return {"error": self.error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A request that makes no sense in the present state; remembered by idempotency."""
    return StripeError(400, "invalid_request_error", message, param=param, code=code)


def malformed(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """Parameters that failed validation: no idempotent result is saved for these."""
    return StripeError(400, "invalid_request_error", message, param=param, code=code, stored=False)


def missing(param: str) -> StripeError:
    """A parameter that must be there is not."""
    return malformed(f"Missing required param: {param}.", param, "parameter_missing")


def no_such(kind: str, id: str, param: str = "id") -> StripeError:
    """404 for the id in the path, 400 for an id among the parameters."""
    name = kind.replace(".", " ").replace("_", " ")
    status = 404 if param == "id" else 400
    message = f"No such {name}: '{id}'"
    return StripeError(
        status, "invalid_request_error", message, param=param, code="resource_missing"
    )


def card_error(code: str, message: str, **fields: Any) -> StripeError:
    """402: the card was refused. `fields`: decline_code, charge and the like."""
    return StripeError(402, "card_error", message, code=code, **fields)
