"""What was received, so that a test can assert what the gateway SENT."""

import hashlib
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

SECRETS = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "x-amz-security-token"}
)


@dataclass(slots=True)
class Record:
    """One request and how it ended. Times are seconds of the monotonic clock."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    raw: bytes
    at: float = field(default_factory=time.monotonic)
    status: int | None = None
    refusal: str | None = None
    sent: int = 0
    finished_at: float | None = None
    aborted: bool = False

    def as_json(self) -> dict[str, Any]:
        """Everything but the raw bytes."""
        return {key: value for key, value in asdict(self).items() if key != "raw"}


def record(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], raw: bytes
) -> Record:
    """A request as it is kept: secrets as hashes, the body parsed where it is JSON."""
    kept = {k: hashed(v) if k in SECRETS else v for k, v in headers}
    query = re.sub(r"\bkey=([^&]+)", lambda found: f"key={hashed(found[1])}", query)
    try:
        body = orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        body = None
    return Record(method, path, query, kept, body, raw)


def hashed(secret: str) -> str:
    """How a secret is kept: its scheme, and the beginning of its hash."""
    scheme, space, rest = secret.rpartition(" ")
    return f"{scheme}{space}sha256:{hashlib.sha256(rest.encode()).hexdigest()[:16]}"
