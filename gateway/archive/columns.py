"""The columns of requests in the archive's files (hontoni/archive_files.py)."""

import pyarrow as pa

from gateway.catalogue.models import BUCKETS
from hontoni.archive_files import MOMENT, WORD, Table

USAGE = Table(
    "usage",
    pa.schema(
        [
            *(("user_id", pa.int64()), ("request_id", pa.string()), ("api_key_id", pa.int64())),
            *(("model", WORD), ("requested_model", WORD), ("price_id", pa.int64())),
            *(("batch", pa.string()), ("dialect", WORD), ("stream", pa.bool_())),
            ("created_at", MOMENT),
            *((bucket, pa.int64()) for bucket in BUCKETS),
            *(("cost", pa.int64()), ("hold", pa.int64()), ("estimated", pa.bool_())),
            *(("aborted", pa.bool_()), ("status", pa.int16()), ("error", WORD)),
            *(("upstream_status", pa.int16()), ("upstream_request_id", pa.string())),
            *(("first_byte_ms", pa.int64()), ("duration_ms", pa.int64())),
            *(("client", WORD), ("tool", WORD), ("details", pa.string())),
        ]
    ),
)
