"""An account: what it may do, whose it is, and how it is frozen.

`terms.py` numbers what an account may do, so that a change holds on every node with the next
request; start there. `freezing.py` stops all its keys, `mailboxes.py` tells whose an address is.
It imports no other room.
"""
