"""Files and batches as the APIs tell of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.batches.models import OPEN, Batch, Status, StoredFile

WINDOW = "24h"


def file(row: StoredFile) -> dict[str, Any]:
    """OpenAI's File object."""
    return {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": _epoch(row.created_at),
        "expires_at": _epoch(row.expires_at),
        "filename": row.name,
        "purpose": row.purpose,
        "status": "processed",
        "status_details": None,
    }


def batch(row: Batch, files: Sequence[StoredFile]) -> dict[str, Any]:
    """OpenAI's Batch object; `files` are those of its results."""
    ended = {status: None if row.status != status else _epoch(row.ended_at) for status in Status}
    named: Mapping[bool, str] = {each.errors: each.id for each in files}
    return {
        "id": row.id,
        "object": "batch",
        "endpoint": row.endpoint,
        "model": row.model or None,
        "errors": {"object": "list", "data": row.errors} if row.errors else None,
        "input_file_id": row.input_file_id,
        "completion_window": WINDOW,
        "status": row.status,
        "output_file_id": named.get(False),
        "error_file_id": named.get(True),
        "created_at": _epoch(row.created_at),
        "in_progress_at": _epoch(row.created_at) if row.total else None,
        "expires_at": _epoch(row.expires_at),
        "finalizing_at": _epoch(row.ended_at) if row.total else None,
        "completed_at": ended[Status.COMPLETED],
        "failed_at": ended[Status.FAILED],
        "expired_at": ended[Status.EXPIRED],
        "cancelling_at": _epoch(row.cancelling_at),
        "cancelled_at": ended[Status.CANCELLED],
        "request_counts": {
            "total": row.total,
            "completed": row.succeeded,
            "failed": row.errored + row.canceled + row.expired,
        },
        "metadata": row.metadata or None,
    }


def message_batch(row: Batch, results_url: str) -> dict[str, Any]:
    """Anthropic's MessageBatch."""
    underway = "canceling" if row.status == Status.CANCELLING else "in_progress"
    return {
        "id": row.id,
        "type": "message_batch",
        "processing_status": underway if row.status in OPEN else "ended",
        "request_counts": {
            "processing": row.processing,
            "succeeded": row.succeeded,
            "errored": row.errored,
            "canceled": row.canceled,
            "expired": row.expired,
        },
        "created_at": _iso(row.created_at),
        "expires_at": _iso(row.expires_at),
        "ended_at": _iso(row.ended_at),
        "cancel_initiated_at": _iso(row.cancelling_at),
        "archived_at": _iso(row.forgotten_at),
        "results_url": results_url if row.ended_at and not row.forgotten_at else None,
    }


def listed(rows: Sequence[dict[str, Any]], more: bool) -> dict[str, Any]:
    """A page of a list, in the words of both."""
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": more,
    }


def _epoch(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
