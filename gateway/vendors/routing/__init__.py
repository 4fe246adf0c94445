"""Among the vendors of one model: who is asked first, and how each of them is.

`models.py` has what staff choose, `tally.py` counts what came of each way in this process,
`health.py` is what all processes have told each other of it. The order itself is `routes.py`'s.
"""
