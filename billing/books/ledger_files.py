"""The ledger's columns in the archive's files (hontoni/archive_files.py)."""

import pyarrow as pa

from hontoni.archive_files import MOMENT, WORD, Table

TRANSFERS = Table(
    "transfers",
    pa.schema(
        [
            *(("id", pa.int64()), ("key", pa.string()), ("kind", WORD), ("amount", pa.int64())),
            *(("debit", pa.string()), ("credit", pa.string()), ("ref", pa.string())),
            *(("actor", WORD), ("reason", pa.string()), ("created_at", MOMENT)),
        ]
    ),
)
ENTRIES = Table(
    "entries",
    pa.schema(
        [
            *(("account", pa.string()), ("account_version", pa.int64())),
            *(("transfer_id", pa.int64()), ("amount", pa.int64()), ("balance_after", pa.int64())),
        ]
    ),
)
