"""Copies of both stores at one moment, sealed, here or in S3-compatible storage; and back again.

`moment.py` takes it, `restoring.py` puts it back; `sqlite_copy` and `postgres_copy` know the two
databases, `in_flight` what Valkey alone knows, `sealing` the encryption, `shelves` where copies
are kept. Nothing but Python is needed: no pg_dump, no client of Valkey.
"""
