"""Stripe's side: who an account is there, what our prices are there, and the only client.

`stripe_api.py` is the one file that calls Stripe; start there. `customers.py` knows accounts and
their cards, `catalogue.py` prices and tax rates, `mirror.py` what dj-stripe keeps for staff. It
may use `plans` and the rooms below.
"""
