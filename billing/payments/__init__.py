"""Money from cards, by Stripe; from banks in Vietnam (`vietqr/`), with e-invoices (`einvoice/`).

`orders.py` asks for money, `inbox.py` hears of it, `settlements.py` turns what Stripe says into
ledger transfers and is the only one that does. Whoever hears first (a webhook, the page Checkout
returns to, the hourly poll) settles; everybody after that changes nothing. `documents.py` gives
each payment its invoice, `reconcile.py` proves all of it. It may use every room below.
"""
