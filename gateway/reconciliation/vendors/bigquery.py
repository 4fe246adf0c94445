"""Google's billing export, asked of BigQuery over REST with a service account.

The account's key signs a statement of who asks (RFC 7523), for which Google gives an access token
of an hour; the query's rows come in pages.
"""

import base64
import re
import time
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.reconciliation.vendors.asking import answered
from gateway.reconciliation.vendors.formats.report import BadReport
from gateway.reconciliation.vendors.models import ReportSource

_SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
_ROOT = "https://bigquery.googleapis.com"
_TABLE = re.compile(r"^([A-Za-z0-9:._-]+)\.([A-Za-z0-9_]+)\.([A-Za-z0-9_$*-]+)$")
_SQL = """
SELECT service.description AS service_description, sku.description AS sku_description,
  project.id AS project_id, FORMAT_TIMESTAMP('%Y-%m-%d', usage_start_time, 'UTC')
  AS usage_start_time, currency, CAST(MAX(currency_conversion_rate) AS STRING)
  AS currency_conversion_rate, CAST(SUM(CAST(cost AS NUMERIC)) AS STRING) AS cost,
  CAST(SUM(CAST(usage.amount AS NUMERIC)) AS STRING) AS usage_amount,
  CAST(SUM((SELECT COALESCE(SUM(CAST(c.amount AS NUMERIC)), 0) FROM UNNEST(credits) c)) AS STRING)
  AS credited
FROM `{table}`
WHERE usage_start_time >= TIMESTAMP('{begins}') AND usage_start_time < TIMESTAMP('{ends}')
GROUP BY 1, 2, 3, 4, 5
"""


def export(
    client: httpx.Client, source: ReportSource, secret: str, begins: date, ends: date
) -> list[dict[str, Any]]:
    """The export's sums of these days, `ends` exclusive. Raises Refused, BadReport."""
    named = _TABLE.match(source.table)
    if named is None:
        raise BadReport("The table of a source at Google is project.dataset.table.")
    account = _account(secret)
    token = answered(client, "POST", account["token_uri"], data=_statement(account))
    headers = {"authorization": f"Bearer {token.get('access_token', '')}"}
    root = (source.base_url or _ROOT).rstrip("/")
    address = f"{root}/bigquery/v2/projects/{account['project_id']}/queries"
    sql = _SQL.format(table=source.table, begins=begins, ends=ends)
    requested = {"query": sql, "useLegacySql": False, "timeoutMs": 50_000}
    page = answered(client, "POST", address, json=requested, headers=headers)
    rows: list[dict[str, Any]] = []
    names: list[str] = []
    while True:
        if page.get("jobComplete"):
            names = names or [field["name"] for field in page["schema"]["fields"]]
            rows += _rows(page, names)
            if not page.get("pageToken"):
                return rows
        job = page.get("jobReference") or {}
        params = {"location": job.get("location", ""), "pageToken": page.get("pageToken", "")}
        params = {name: value for name, value in params.items() if value}
        following = f"{address}/{job.get('jobId', '')}"
        page = answered(client, "GET", following, params=params, headers=headers)


def _rows(page: Mapping[str, Any], names: list[str]) -> Iterator[dict[str, Any]]:
    for row in page.get("rows") or ():
        found = dict(zip(names, (cell["v"] for cell in row["f"]), strict=True))
        credited = found.pop("credited", None)
        yield {**found, "credits": [{"amount": credited or "0"}]}


def _account(secret: str) -> dict[str, str]:
    try:
        account = orjson.loads(secret)
        return {n: account[n] for n in ("client_email", "private_key", "token_uri", "project_id")}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadReport("The secret of a source at Google is a service account's JSON.") from None


def _statement(account: Mapping[str, str]) -> dict[str, str]:
    """Who asks, signed."""
    now = int(time.time())
    claims = {
        "iss": account["client_email"],
        "scope": _SCOPE,
        "aud": account["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    said = b".".join(
        _base64(orjson.dumps(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims)
    )
    try:
        key = load_pem_private_key(account["private_key"].encode(), None)
    except ValueError:
        raise BadReport("The service account's private key cannot be read.") from None
    assert isinstance(key, RSAPrivateKey)
    signed = said + b"." + _base64(key.sign(said, PKCS1v15(), SHA256()))
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return {"grant_type": grant, "assertion": signed.decode()}


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
