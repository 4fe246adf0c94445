"""The environment variables of operating it: stopping, backups, retention, logs, metrics, traces.

The others, and what becomes of them, are in `options.py`.
"""

from typing import NamedTuple


class Option(NamedTuple):
    """`default` is Markdown: code where it is a value, words where it is made up of others."""

    name: str
    default: str
    meaning: str


OPERATING = (
    Option(
        "STOP_NOTICE_SECONDS",
        "`5`, with the embedded database `0`",
        "how long a gateway that is asked to stop serves on while `/readyz` is red",
    ),
    Option(
        "STOP_STREAM_SECONDS",
        "`600`; `30` in `make run`",
        "how long what is open then has to finish, before it is cut with an error",
    ),
    Option(
        "BACKUP_URL",
        "`DATA_DIR/backups`",
        (
            "a folder, or S3-compatible storage:"
            " `s3+https://KEY:SECRET@host/bucket/prefix?region=eu-west-1`"
        ),
    ),
    Option(
        "BACKUP_KEY",
        "`SECRET_KEY`",
        "what backups are sealed with; to restore one you need it, so keep it elsewhere",
    ),
    Option("BACKUP_KEEP", "`14`", "how many backups are kept; `0`: all"),
    Option(
        "RETENTION_MONTHS",
        "`13`",
        (
            "how many whole months of usage the database keeps beside the current one; older ones"
            " go into the archive; `0`: all are kept, otherwise `3` at least"
        ),
    ),
    Option(
        "ARCHIVE_URL",
        "`DATA_DIR/archive`",
        (
            "where they go: a folder that all gateways have, or S3-compatible storage as in"
            " `BACKUP_URL`; receipts are read from there"
        ),
    ),
    Option(
        "BACKUP_BEFORE_MIGRATIONS",
        "`true` with the embedded database, or with `BACKUP_URL`",
        "`prepare` takes a backup before it migrates; `prepare --no-backup` does not, once",
    ),
    Option(
        "MIGRATION_LOCK_SECONDS",
        "`0.7`",
        "how long a migration waits for a lock on Postgres before it gives way to traffic",
    ),
    Option("LOG_LEVEL", "`INFO`", "of the console log"),
    Option("LOG_FORMAT", "`text`", "or `json`: an object a line, with request, account and key"),
    Option(
        "LOG_REPEAT_SECONDS",
        "`10`",
        "a warning that is said again is held back so long, and counted; `0`: never",
    ),
    Option(
        "METRICS",
        "`false`, with `METRICS_TOKEN` `true`",
        "count, and tell Prometheus at `/metrics`",
    ),
    Option(
        "METRICS_TOKEN",
        "none",
        (
            "the bearer token of `/metrics`; without one internal addresses may read it, unless a"
            " proxy passes them on"
        ),
    ),
    Option(
        "OTLP_ENDPOINT",
        "none",
        "where traces are sent, by OTLP over HTTP: such as `http://127.0.0.1:4318`",
    ),
    Option("TRACE_SHARE", "`1`", "of the requests whose client traces nothing, how many are"),
    Option(
        "METRICS_DIR",
        "`DATA_DIR/metrics`",
        "where processes behind one port leave their counts for each other",
    ),
)
