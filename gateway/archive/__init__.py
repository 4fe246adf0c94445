"""Usage that is older than the database keeps it (`RETENTION_MONTHS`): a month at a time it is
exported to Parquet files (`ARCHIVE_URL`) and taken out, and a signed checkpoint takes its place in
the books. The rollups stay, and so does all that something else refers to.

`expiry.py` takes a month out; start there. `exporting.py` and `columns.py` write its files,
`archived_receipts.py` reads them for whom they belong to, `archive_proof.py` proves that nothing
of it was changed since. It reads every room below and the books; it writes no money.
"""
