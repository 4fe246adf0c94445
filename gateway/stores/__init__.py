"""The two stores as one: whether Valkey and the database speak of the same life, and how an
account is made anew in Valkey when they do not. docs/stores.md says why; start at `epochs.py`.

`epochs.py` compares the stores, `nodes.py` knows which gateways live, `spool.py` keeps usage
events on a gateway's disk, `windows.py` and `rebuilding.py` make an account anew. It may use
`usage`, and the ledger and seeding of billing.
"""
