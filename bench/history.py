"""`python -m bench.history [--rows N] [--months N]`: what pages and the nightly proof cost when
years are in the books, as Markdown.

A Postgres of its own with so many requests in months of their own, charged to the ledger two by
two, half of them one customer's; so `reconcile` has everything to prove. Then twice: the proof of
all rows, and the one of a night, when the months that are over are proven; and the pages, from
outside. What a page reads is told in buffers of 8 kB, which do not depend on the machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import report, servers
from bench.product import product
from bench.rows import CUSTOMERS
from bench.web import PAGES, paths, postgres, say, server_times

ROWS, MONTHS = 10_000_000, 13
TIMES = 5

_EVENTS = """
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || substr(noise, 1, 3) || 'a' || substr(noise, 4, 15))::uuid AS id,
       at, noise, who, which, (4000000 + 900000 * which)::bigint AS cost,
       (row_number() OVER (PARTITION BY who ORDER BY at, noise) - 1) / 2 AS charge
FROM (SELECT %(since)s::timestamptz + random() * (%(until)s::timestamptz - %(since)s) AS at,
             md5(%(month)s || ':' || n) AS noise,
             CASE WHEN n %% 2 = 0 THEN 0 ELSE n / 2 %% (%(customers)s - 1) + 1 END AS who,
             (random() * 3)::int AS which
      FROM generate_series(1, %(rows)s) AS n) AS moments;
CREATE TEMP TABLE charged ON COMMIT DROP AS
SELECT who, charge, (array_agg(id ORDER BY id))[1] AS first, (array_agg(id ORDER BY id DESC))[1] AS
       last, count(*) AS requests, sum(cost) AS amount, max(at) AS at,
       %(number)s + row_number() OVER (ORDER BY max(at), who, charge) AS id
FROM made GROUP BY who, charge;
INSERT INTO gateway_usageevent (id, user_id, api_key_id, model, requested_model, price_id, dialect,
  stream, created_at, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost,
  hold, estimated, aborted, status, error, upstream_status, upstream_request_id, first_byte_ms,
  duration_ms, client, tool, details, batch)
SELECT made.id, customers.user_id, customers.key_id, prices.model, prices.model, prices.id,
       'anthropic_messages', true, made.at, 1200 + 32 * which, 800 * which, 0, 0, 300 + 50 * which,
       0, cost, 20000000, false, false, CASE WHEN noise < '03' THEN 500 ELSE 200 END,
       CASE WHEN noise < '03' THEN 'upstream_error' ELSE '' END, 200, '', 400, 2000,
       agents.client, agents.tool, '{}', charged.first
FROM made JOIN charged USING (who, charge) JOIN customers ON customers.n = who
JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, model_id AS model
      FROM gateway_price WHERE effective_at <= now() ORDER BY id LIMIT 4) AS prices
  ON prices.n = which
JOIN (VALUES (0, 'claude-cli/2.1.8', 'Claude Code'), (1, 'codex_cli_rs/0.63.0', 'Codex'),
             (2, 'OpenAI/Python 2.8.1', 'OpenAI SDK, Python'), (3, 'curl/8.5.0', 'curl'))
  AS agents (n, client, tool) ON agents.n = which
ORDER BY made.id;
INSERT INTO billing_transfer (id, key, kind, amount, debit_id, credit_id, ref, actor, reason,
  created_at)
SELECT charged.id, 'usage:req_' || replace(first::text, '-', ''), 'usage', amount,
       customers.account_id, revenue.id, jsonb_build_object('requests', requests, 'first',
       'req_' || replace(first::text, '-', ''), 'last', 'req_' || replace(last::text, '-', '')),
       '', '', charged.at
FROM charged JOIN customers ON customers.n = who
JOIN billing_ledgeraccount AS revenue ON revenue.code = 'revenue:usage' ORDER BY charged.id;
INSERT INTO billing_entry (id, transfer_id, account_id, amount, balance_after, account_version)
SELECT %(number)s + row_number() OVER (ORDER BY id, amount), id, account, amount,
       balance + sum(amount) OVER numbered, version + row_number() OVER numbered
FROM (SELECT charged.id, a.id AS account, -amount AS amount, a.balance, a.version
      FROM charged JOIN customers ON customers.n = who
      JOIN billing_ledgeraccount a ON a.id = customers.account_id
      UNION ALL
      SELECT charged.id, a.id, amount, a.balance, a.version
      FROM charged JOIN billing_ledgeraccount a ON a.code = 'revenue:usage') AS sides
WINDOW numbered AS (PARTITION BY account ORDER BY id);
UPDATE billing_ledgeraccount a SET balance = balance + moved.amount, version = version + moved.n
FROM (SELECT account_id, sum(amount) AS amount, count(*) AS n FROM billing_entry
      WHERE id > %(number)s AND id < %(number)s + 99000000000 GROUP BY 1) AS moved
WHERE moved.account_id = a.id;
UPDATE billing_wallet w SET settled_total = settled_total + used.cost
FROM (SELECT customers.user_id, sum(cost) AS cost FROM made JOIN customers ON customers.n = who
      GROUP BY 1) AS used WHERE used.user_id = w.user_id;
INSERT INTO gateway_usagehour (hour, user_id, api_key_id, model, tool, requests, errors, input,
  cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost)
SELECT date_trunc('hour', created_at, 'UTC'), user_id, api_key_id, model, tool, count(*),
  count(*) FILTER (WHERE status >= 400), sum(input), sum(cache_read), sum(cache_write_5m),
  sum(cache_write_1h), sum(output), sum(reasoning), sum(cost)
FROM gateway_usageevent WHERE id IN (SELECT id FROM made) GROUP BY 1, 2, 3, 4, 5;
"""


# -- In the installation's own environment -------------------------------------------------------


def fill(rows: int, count: int) -> dict[str, Any]:
    """So many requests of so many months until now; what they take, and who has them."""
    from django.core.management import call_command
    from django.db import connection

    from bench.rows import customers, session
    from billing.books import ledger
    from gateway.archive.dropping import MONTHLY
    from hontoni import months

    now = datetime.now(UTC)
    begun = [months.shifted(months.begin(now), -by) for by in reversed(range(count))]
    owners = customers()
    for user_id, _ in owners:
        ledger.post(
            key=f"bench:{user_id}", kind="adjustment", user_id=user_id, amount=10**14,
            reason="for the bench", actor="bench",
        )  # fmt: skip
    with connection.cursor() as cursor:
        _months_of_their_own(cursor, MONTHLY, begun[0])
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(
            "INSERT INTO billing_ledgeraccount (code, balance, version, may_go_negative) "
            "VALUES ('revenue:usage', 0, 0, true) ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            "CREATE TEMP TABLE customers (n int, user_id bigint, key_id bigint, account_id bigint)"
        )
        for n, (user_id, key_id) in enumerate(owners):
            cursor.execute(
                "INSERT INTO customers SELECT %s, %s, %s, id FROM billing_ledgeraccount "
                "WHERE code = %s", [n, user_id, key_id, ledger.wallet_code(user_id)],
            )  # fmt: skip
    for month in begun:
        _fill(month, min(months.shifted(month, 1), now), rows // count)
        print(f"{month:%Y-%m} is filled", file=sys.stderr, flush=True)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    call_command("reseed", "--all", stdout=sys.stderr)  # Valkey has heard of none of it
    return {"sessions": [session(user_id) for user_id, _ in owners[:1]], "bytes": _bytes()}


def _months_of_their_own(cursor: Any, tables: Any, first: datetime) -> None:
    from hontoni import months, partitions

    for of in tables:
        cursor.execute(f"ALTER TABLE {of.table} DETACH PARTITION {of.before}")
        partitions.attach(cursor, of, partitions.Bounds(of.before, None, of.first(first)))
        there, month = {each.name for each in partitions.partitions(of)}, first
        while of.partition(month) not in there:
            partitions._make(cursor, of, month)
            month = months.shifted(month, 1)


def _fill(month: datetime, until: datetime, rows: int) -> None:
    from django.db import connection, transaction

    from billing.books.monthly import first_number

    # The ids of payments made today are the first thousand of this month.
    values: dict[str, Any] = {
        **{"since": month, "until": until, "month": f"{month:%Y-%m}", "rows": rows},
        **{"number": first_number(month) + 1_000_000, "customers": CUSTOMERS},
    }
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in _EVENTS.split(";\n"):
            if statement.strip():
                cursor.execute(statement, values)


def _bytes() -> dict[str, int]:
    """By table, with indexes, of all months."""
    from django.db import connection

    found = {}
    with connection.cursor() as cursor:
        for table in ("gateway_usageevent", "billing_transfer", "billing_entry"):
            cursor.execute(
                "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s)", [table]
            )
            found[table] = int(cursor.fetchone()[0])
    return found


def prove() -> dict[str, Any]:
    """Seconds of the proof of all rows, and of a night's."""
    from django.db import connection

    from gateway.reconciliation import invariants, proven_months

    taken = {}
    for name, whole in (("whole", True), ("night", False)):
        began, before = time.perf_counter(), _read(connection)
        proof = invariants.prove(whole=whole)
        taken[name] = {
            "seconds": time.perf_counter() - began,
            "found": proof.found[:3],
            "whole": proof.whole,
            "buffers": _read(connection) - before,
        }
        if whole:
            proven_months.keep(datetime.now(UTC))
    return taken


def _read(connection: Any) -> int:
    """Buffers that were asked for so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])


# -- From outside --------------------------------------------------------------------------------


@contextmanager
def _filled(rows: int, count: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder:
        home = Path(folder)
        with (
            servers.vendor() as vendor,
            postgres(home) as url,
            product(vendor.port, home, database=url) as installed,
        ):
            say(f"{rows:,} requests in {count} months")
            yield installed, _inside(installed.env, "fill", rows, count)


def _inside(env: dict[str, str], what: str, *numbers: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.history", "--inside", what, *map(str, numbers)]
    made = subprocess.run(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)
    if made.returncode:
        raise RuntimeError(f"{what} failed")
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.history")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--months", type=int, default=MONTHS)
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        import django

        django.setup()
        what, *numbers = args.inside
        made = fill(*map(int, numbers)) if what == "fill" else prove()
        print(json.dumps(made))
        return
    with _filled(args.rows, args.months) as (installed, made):
        url = f"http://127.0.0.1:{installed.server.port}"
        pages = server_times(url, made["sessions"][0], paths(PAGES, 0), TIMES)
        proofs = _inside(installed.env, "prove")
        print(table(args.rows, args.months, made["bytes"], pages, proofs))


def table(rows: int, count: int, sizes: Any, pages: Any, proofs: Any) -> str:
    """What was measured, as Markdown."""
    lines = [f"{rows:,} requests in {count} months.", ""]
    lines += ["| table | bytes a request |", "| --- | --: |"]
    lines += [f"| {name} | {size / rows:.0f} |" for name, size in sizes.items()]
    lines += ["", "| page | server time, ms (median · worst) |", "| --- | --: |"]
    lines += [f"| {name} | {median(t):.0f} · {max(t):.0f} |" for name, t in pages.items()]
    lines += ["", "| proof | s | buffers of 8 kB | found |", "| --- | --: | --: | --- |"]
    for name, each in proofs.items():
        lines.append(f"| {name} | {each['seconds']:.1f} | {each['buffers']:,} | {each['found']} |")
    return "\n".join([*lines, "", report.machine(os.getloadavg()[0])])


if __name__ == "__main__":
    main()
