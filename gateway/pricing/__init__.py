"""How prices come about: staff's pages for them, what public sources propose, and who hears of it.

`announcements.py` tells customers, `many.py` changes many prices at once, `sources/` reads what
others publish and `proposals.py` makes of it what staff may accept. It may use the catalogue,
usage and what was earned (reconciliation); nothing on the hot path uses it.
"""
