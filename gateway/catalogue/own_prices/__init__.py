"""Prices of one customer's own: a multiple of the list's, or rates agreed, from a day to a day.

`models.py` has the rows, `terms.py` what the hot path makes of one. They are part of the
catalogue's snapshot, so they bind on every node at one instant, as prices do.
"""
