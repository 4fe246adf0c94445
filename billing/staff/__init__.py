"""What staff see and do: the pages of the admin, and accounts that are opened by hand.

`audited.py` has what these pages have in common: the books are read, and whatever is done is
audited. Start there. It knows neither `api` nor `pages`.
"""
