"""How much a request can use, and what it used, in tokens and nano-dollars. Pure arithmetic.

`estimates.py` bounds a request, `documents.py` what is attached to it, `bill.py` prices what the
vendor counted, `calibration.py` learns each model's pace. It may use `catalogue` and `dialects`.
"""
