"""Plans that are bought, changed, renewed and ended, from the balance or by Stripe.

`changes.py` is the one way in for pages, /api and staff; start there. From the balance it leads
to `balance_changes.py`, `purchases.py` and `renewals.py`; by Stripe to `card_changes.py`,
`arrangements.py` and `entitlements.py`, which says what Stripe's word means here. It may use
every room below.
"""
