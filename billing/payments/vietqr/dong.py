"""Dong and dollars: whole dong, nano-dollars, and a rate of whole dong for a dollar.

An order in dollars costs the dong that cover it, rounded up. What dong buy is rounded down to the
nano-dollar, which is less than a ten-thousandth of a dong: so either can be told from the other.
"""

from hontoni.money import DOLLAR


def price(amount: int, rate: int) -> int:
    """The whole dong that so many nano-dollars cost."""
    return -(-amount * rate // DOLLAR)


def worth(dong: int, rate: int) -> int:
    """The nano-dollars that so many dong buy."""
    return dong * DOLLAR // rate


def about(amount: int, rate: int) -> int:
    """For a glance: the nearest whole dong."""
    return (2 * amount * rate + DOLLAR) // (2 * DOLLAR)


def tax_in(dong: int, percent_millionths: int) -> int:
    """The tax that so many dong contain, half up, at a percentage times a million."""
    whole = 100_000_000 + percent_millionths
    return (2 * dong * percent_millionths + whole) // (2 * whole)
