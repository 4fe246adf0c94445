"""Years of usage at once, for Postgres: `python -m bench.rows ROWS`, in an installation's
environment. Prints, as JSON, the session of every customer made, the first of whom owns half of
the rows, and that of a member of staff.

Ids are UUIDv7 of the moments, as the gateway makes them, over the last 90 days. The indexes are
made again after the rows: that is minutes faster than keeping them up to date.
"""

import json
import sys

import django
from django.db import connection, transaction
from django.utils import timezone

CUSTOMERS = 100
DAYS = 90

_MOMENTS = """
CREATE TEMP TABLE moments AS
SELECT now() - (random() * %(days)s) * interval '1 day' AS at,
       md5(n::text) AS noise,
       CASE WHEN n %% 2 = 0 THEN 0 ELSE n / 2 %% (%(customers)s - 1) + 1 END AS who,
       (random() * 3)::int AS which
FROM generate_series(1, %(rows)s) AS n
"""
_EVENTS = """
INSERT INTO gateway_usageevent (id, user_id, api_key_id, model, requested_model, price_id, dialect,
  stream, created_at, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost,
  hold, estimated, aborted, status, error, upstream_status, upstream_request_id, first_byte_ms,
  duration_ms, client, tool, details)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
        || '7' || substr(noise, 1, 3) || 'a' || substr(noise, 4, 15))::uuid,
       customers.user_id, customers.key_id, prices.model, prices.model, prices.id,
       'anthropic_messages', true, at, 1200 + length(noise) * which, 800 * which, 0, 0,
       300 + 50 * which, 0, (4000000 + 900000 * which)::bigint, 20000000, false, false,
       CASE WHEN noise < '03' THEN 500 ELSE 200 END,
       CASE WHEN noise < '03' THEN 'upstream_error' ELSE '' END,
       200, '', 400, 2000, agents.client, agents.tool, '{}'
FROM moments
JOIN customers ON customers.n = who
JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, model_id AS model
      FROM gateway_price WHERE effective_at <= now() ORDER BY id LIMIT 4) AS prices
  ON prices.n = which
JOIN (VALUES (0, 'claude-cli/2.1.8', 'Claude Code'), (1, 'codex_cli_rs/0.63.0', 'Codex'),
             (2, 'OpenAI/Python 2.8.1', 'OpenAI SDK, Python'), (3, 'curl/8.5.0', 'curl'))
  AS agents (n, client, tool) ON agents.n = which
ORDER BY at
"""
_HOURS = """
INSERT INTO gateway_usagehour (hour, user_id, api_key_id, model, tool, requests, errors, input,
  cache_read, cache_write_5m, cache_write_1h, output, reasoning, cost)
SELECT date_trunc('hour', created_at, 'UTC'), user_id, api_key_id, model, tool, count(*),
  count(*) FILTER (WHERE status >= 400), sum(input), sum(cache_read), sum(cache_write_5m),
  sum(cache_write_1h), sum(output), sum(reasoning), sum(cost)
FROM gateway_usageevent GROUP BY 1, 2, 3, 4, 5
"""
_DAYS = """
INSERT INTO gateway_usagevendorday (day, vendor, credential, model, part, requests, input,
  cache_read, cache_write_5m, cache_write_1h, output, cost)
SELECT (created_at AT TIME ZONE 'UTC')::date, 'anthropic', 'anthropic/environment', model,
  CASE WHEN status >= 400 THEN 'given_away' ELSE 'charged' END, count(*), sum(input),
  sum(cache_read), sum(cache_write_5m), sum(cache_write_1h), sum(output), sum(cost)
FROM gateway_usageevent GROUP BY 1, 4, 5
"""


def customers() -> list[tuple[int, int]]:
    """User and key ids; the first is the one who asks on /v1 (bench/customer.py)."""
    from accounts.keys import api_keys
    from accounts.models import ApiKey, User

    first = ApiKey.objects.get(user__email="bench@example.com")
    others = [User.objects.create_user(f"c{n}@example.com") for n in range(1, CUSTOMERS)]
    made = [(user.pk, api_keys.mint(user, "laptop")[0].pk) for user in others]
    return [(first.user_id, first.pk), *made]


def session(user_id: int) -> str:
    """A session cookie, as a log-in would set it."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from accounts.models import User
    from accounts.sign_in.session_store import SessionStore

    found = SessionStore()
    found[SESSION_KEY] = str(user_id)
    found[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    found[HASH_SESSION_KEY] = User.objects.get(pk=user_id).get_session_auth_hash()
    found.save()
    assert found.session_key
    return found.session_key


def fill(rows: int, owners: list[tuple[int, int]]) -> None:
    """Events and their rollups."""
    numbers = {"rows": rows, "days": DAYS, "customers": CUSTOMERS}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL session_replication_role = replica"
        )  # no foreign key is looked up
        cursor.execute("CREATE TEMP TABLE customers (n int, user_id bigint, key_id bigint)")
        cursor.executemany(
            "INSERT INTO customers VALUES (%s, %s, %s)",
            [(n, user_id, key_id) for n, (user_id, key_id) in enumerate(owners)],
        )
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'gateway_usageevent' "
            "AND indexname NOT LIKE '%%_pkey'"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        cursor.execute(_MOMENTS, numbers)
        cursor.execute(_EVENTS)
        for _, definition in indexes:
            cursor.execute(definition.replace(" ON ONLY ", " ON "))  # of every month
        cursor.execute(_HOURS)
        cursor.execute(_DAYS)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE gateway_usageevent")
        cursor.execute("VACUUM ANALYZE gateway_usagehour")


def staff() -> str:
    """The session of a superuser, who has a second factor."""
    from allauth.mfa.totp.internal import auth as totp

    from accounts.models import User
    from cockpit import daily

    owner = User.objects.create_superuser("staff@example.com", "for the bench only")
    totp.TOTP.activate(owner, "JBSWY3DPEHPK3PXP")
    daily.catch_up(timezone.now())  # which the worker does every hour
    return session(owner.pk)


def main() -> None:
    owners = customers()
    fill(int(sys.argv[1]), owners)
    sessions = [session(user_id) for user_id, _ in owners]
    print(json.dumps({"customers": sessions, "first": owners[0][0], "staff": staff()}))


if __name__ == "__main__":
    django.setup()
    main()
