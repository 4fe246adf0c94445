"""Proof that the books are right: against themselves, and against the vendors' bills.

`invariants.py` adds up what must be equal (`manage.py reconcile`); `vendors/` imports what vendors
billed and explains the difference. It reads every room below and writes only its own tables.
"""
