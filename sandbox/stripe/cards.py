"""Stripe's test cards and what each of them does (https://docs.stripe.com/testing).

A card is named `pm_card_<name>` where a PaymentMethod is wanted and `tok_<name>` where a token is.
"""

import hashlib
from dataclasses import dataclass

# Code and message of each refusal (https://docs.stripe.com/declines/codes).
GENERIC = "Your card was declined."
DECLINES = {
    "generic_decline": ("card_declined", GENERIC),
    "insufficient_funds": ("card_declined", "Your card has insufficient funds."),
    "lost_card": ("card_declined", GENERIC),
    "stolen_card": ("card_declined", GENERIC),
    "fraudulent": ("card_declined", GENERIC),
    "card_velocity_exceeded": (
        "card_declined",
        "Your card was declined for making repeated attempts too frequently or exceeding its "
        "amount limit.",
    ),
    "expired_card": ("expired_card", "Your card has expired."),
    "incorrect_cvc": ("incorrect_cvc", "Your card's security code is incorrect."),
    "processing_error": (
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "authentication_required": (
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}


@dataclass(frozen=True)
class TestMethod:
    """A test card, or a test bank account when `bank` is set.

    `authentication`: `setup` asks for it until the card was set up for later use, `always` always.
    """

    __test__ = False  # not a test, whatever its name says to pytest

    name: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    decline: str | None = None
    attachable: bool = True
    authentication: str = "never"
    dispute: str | None = None
    refund: str = "succeeded"
    bank: bool = False

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        """The same number has the same fingerprint, whoever uses it."""
        return hashlib.sha256(self.number.encode()).hexdigest()[:16]


def _declined(name: str, number: str, decline: str) -> TestMethod:
    return TestMethod(name, number, decline=decline, attachable=False)


METHODS = (
    TestMethod("visa", "4242424242424242"),
    TestMethod("visa_debit", "4000056655665556", funding="debit"),
    TestMethod("mastercard", "5555555555554444", "mastercard"),
    TestMethod("mastercard_debit", "5200828282828210", "mastercard", "debit"),
    TestMethod("amex", "378282246310005", "amex"),
    TestMethod("discover", "6011111111111117", "discover"),
    _declined("chargeDeclined", "4000000000000002", "generic_decline"),
    _declined("visa_chargeDeclined", "4000000000000002", "generic_decline"),
    _declined("chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"),
    _declined("chargeDeclinedLostCard", "4000000000009987", "lost_card"),
    _declined("chargeDeclinedStolenCard", "4000000000009979", "stolen_card"),
    _declined("chargeDeclinedExpiredCard", "4000000000000069", "expired_card"),
    _declined("chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc"),
    _declined("chargeDeclinedProcessingError", "4000000000000119", "processing_error"),
    _declined("chargeDeclinedFraudulent", "4100000000000019", "fraudulent"),
    _declined("chargeDeclinedVelocityLimitExceeded", "4000000000006975", "card_velocity_exceeded"),
    TestMethod("chargeCustomerFail", "4000000000000341", decline="generic_decline"),
    TestMethod("authenticationRequiredOnSetup", "4000002500003155", authentication="setup"),
    TestMethod("authenticationRequired", "4000002760003184", authentication="always"),
    TestMethod(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        decline="insufficient_funds",
        authentication="always",
    ),
    TestMethod("threeDSecure2Required", "4000000000003220", authentication="always"),
    TestMethod("createDispute", "4000000000000259", dispute="fraudulent"),
    TestMethod(
        "createDisputeProductNotReceived", "4000000000002685", dispute="product_not_received"
    ),
    TestMethod("pendingRefund", "4000000000007726", refund="pending"),
    TestMethod("refundFail", "4000000000005126", refund="failed"),
    TestMethod("usBankAccount_success", "000123456789", bank=True),
    TestMethod(
        "usBankAccount_insufficientFunds",
        "000222222227",
        decline="insufficient_funds",
        bank=True,
    ),
)
BY_NAME = {method.name: method for method in METHODS}
BY_NUMBER = {method.number: method for method in reversed(METHODS)}


def by_token(token: str) -> TestMethod | None:
    """The method `pm_card_x`, `tok_x` or `pm_usBankAccount_x` stands for."""
    for prefix in ("pm_card_", "tok_", "pm_"):
        if token.startswith(prefix):
            return BY_NAME.get(token.removeprefix(prefix))
    return None
