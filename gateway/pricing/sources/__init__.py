"""What others publish about models, each source in its own shape and read into one.

`listings.py` has the one shape, a module a source reads theirs, `source_reading.py` fetches them,
or takes the copies in `data/` where there is no internet. None is believed: proposals.py compares.
"""
