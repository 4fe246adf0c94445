"""What only Stripe's own payment page can do."""

from hontoni import errors


class CheckoutRequired(errors.Forbidden):
    """Tax is on, and only Checkout asks for the address that tax needs."""

    code = "checkout_required"
