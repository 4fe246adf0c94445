"""Usage that is older than the database keeps it (`RETENTION_MONTHS`): a month at a time it is
exported to Parquet files (`ARCHIVE_URL`) and taken out, and a signed checkpoint takes its place in
the books. The rollups stay, and so does all that something else refers to.

`expiry.py` takes a month out; `exporting.py` and `tables.py` write its files, `receipts.py` reads
them for whom they belong to, `proof.py` proves that nothing of it was changed since. It reads
every room below and the books; it writes no money.
"""
