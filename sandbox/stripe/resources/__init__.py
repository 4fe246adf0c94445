"""One module a noun of Stripe's: its routes, and how its objects are made and changed. Start at
`customers.py`, the plainest."""
