"""The books: what every account has, moved by double entry and never changed afterwards.

`ledger.py` states the invariants and is the only module that moves money; start there.
`adjustments.py` is how staff move it, `audit.py` keeps what staff did, `seeding.py` brings an
account's money to Redis, `standing.py` says who may be charged at all. It imports no other room.
"""
