"""`manage.py doctor`: everything that can be checked from here, one small function each. A check
answers with findings and raises nothing that matters: what it raises is its finding. They are
listed in `checks.py`; `stores`, `outside` and `work` have the functions.
"""
