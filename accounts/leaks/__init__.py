"""Keys that leaked: GitHub finds them in what is pushed there, or anybody reports one.

Whoever has a key in clear may end it: that takes nothing from its owner but a key that is no
secret any more. It is revoked at once; who must hear of it (the owner, the audit log) is others'
business, who say so when they start (`ended.follow`). Start at `ended.py`; `github.py` tells
whether GitHub is speaking, `api.py` and `views.py` are the doors.
"""
