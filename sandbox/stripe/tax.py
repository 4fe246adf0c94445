"""Stripe Tax, as far as amounts go: one rate for everybody, 0 unless the account sets one.

https://docs.stripe.com/tax/products-prices-tax-codes-tax-behavior: an `inclusive` price contains
the tax, any other has it added. Cents, rounded half up.
"""

from dataclasses import dataclass

WHOLE = 10_000


@dataclass(frozen=True)
class Taxed:
    """An amount before tax, its tax, and what is paid."""

    net: int
    tax: int

    @property
    def total(self) -> int:
        """What is paid."""
        return self.net + self.tax


def taxed(amount: int, behaviour: str | None, basis_points: int) -> Taxed:
    """Split `amount` cents; negative amounts (credits) mirror positive ones."""
    if amount < 0:
        mirrored = taxed(-amount, behaviour, basis_points)
        return Taxed(-mirrored.net, -mirrored.tax)
    if behaviour == "inclusive":
        tax = _half_up(amount * basis_points, WHOLE + basis_points)
        return Taxed(amount - tax, tax)
    return Taxed(amount, _half_up(amount * basis_points, WHOLE))


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
