"""What was used and what was refused: the books of the gateway, and receipts made from them.

`settler.py` is the settlement process; `settlement.py` writes usage events into the database
exactly once, in the words of `events.py` and by the statements of `books.py`; the other files read
them. It may use `metering`, `catalogue`, `vendors`, `dialects`, and the ledger of billing.
"""
