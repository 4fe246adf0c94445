"""What was used and what was refused: the books of the gateway, and receipts made from them.

`settlement.py` writes usage events into the database exactly once; the other files read them. It
may use `metering`, `catalogue`, `vendors`, `dialects`, and the ledger of billing.
"""
