"""What is sold: models, variants, prices and features, as rows and as a snapshot in memory.

`models.py` has the rows, `snapshot.py` what the hot path reads, `features/` the allow-list of
what may cost beside tokens, `prices/` when a price binds. It may use `vendors` and `dialects`.
"""
