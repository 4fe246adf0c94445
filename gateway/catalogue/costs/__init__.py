"""What the vendors charge us, in versions with a source and a date, beside what we charge.

`models.py` has the rows, `margins.py` compares them with prices, `mark_ups.py` makes a price of a
cost. Nothing on the hot path reads them.
"""
