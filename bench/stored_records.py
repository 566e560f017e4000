"""Days of realistic records, straight into a store's Parquet as compaction leaves it; DuckDB makes them.

    python -m bench.stored_records --records 100000000 --days 90 STORE

The fleet is that of `bench.records`: three hosts of two instances with four workers, 40 keys, 3,000 users,
eight endpoints of four providers; a tide of day and week. The same options make the same records.
"""

import argparse
import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from bench.records import ENDPOINTS
from gateway_analytics.compaction import PARQUET
from gateway_analytics.record_kind import ACCESS, REQUESTS

# As many records as compaction puts into one file.
_PART = 280_000
_WORKERS = 24

_CALLS = """
CREATE OR REPLACE TEMP TABLE calls AS
WITH chance AS (
    SELECT
        i,
        {first_number} + i AS number,
        hash(8 * ({first_number} + i) + 1) / 18446744073709551616 AS r1,
        hash(8 * ({first_number} + i) + 2) / 18446744073709551616 AS r2,
        hash(8 * ({first_number} + i) + 3) / 18446744073709551616 AS r3,
        hash(8 * ({first_number} + i) + 4) / 18446744073709551616 AS r4,
        hash(8 * ({first_number} + i) + 5) / 18446744073709551616 AS r5,
        hash(8 * ({first_number} + i) + 6) / 18446744073709551616 AS r6,
        hash(8 * ({first_number} + i) + 7) / 18446744073709551616 AS r7
    FROM range({rows}) AS numbers (i)
),
normal AS (
    -- Box and Muller: two normal numbers of two even ones.
    SELECT
        *,
        sqrt(-2 * ln(greatest(r1, 1e-12))) * cos(2 * pi() * r2) AS n1,
        sqrt(-2 * ln(greatest(r1, 1e-12))) * sin(2 * pi() * r2) AS n2,
        sqrt(-2 * ln(greatest(r3, 1e-12))) * cos(2 * pi() * r4) AS n3,
        list_position(list_transform({bounds}, lambda bound: r5 < bound), true) AS kind,
        r6 < 0.03 AS failed,
        -- More calls at midday than at night.
        (i + r7) / {rows} AS place
    FROM chance
)
SELECT
    number, r1, r2, r3, r4, r5, r6, r7, kind, failed,
    {names}[kind] AS endpoint,
    {providers}[kind] AS provider,
    {models}[kind] AS request_model,
    {answered}[kind] AS answered,
    TIMESTAMPTZ '{day} 00:00:00+00' + to_microseconds(
        CAST(86400e6 * (place - 0.11 * sin(2 * pi() * place)) AS BIGINT)) AS received_at,
    CAST(exp(6.6 + 1.1 * n1) AS BIGINT) AS input_tokens,
    CASE WHEN {names}[kind] = 'embed' THEN 0 ELSE CAST(exp(5.2 + n2) AS BIGINT)
        * CASE WHEN {names}[kind] = 'reason' THEN 3 ELSE 1 END END AS output_tokens,
    {names}[kind] <> 'embed' AND r2 < 0.5 AS stream,
    exp(5.5 + 0.6 * n3) AS waited,
    exp(5.8 + 0.5 * n3) AS first_token,
    (number * 7919) % {workers} AS worker
FROM normal
"""

_REQUESTS = """
SELECT
    1 AS schema_version,
    md5(CAST(number AS VARCHAR)) AS request_id,
    md5(concat('boot', worker, '-', {day_number} // 7)) AS boot_id,
    number // {workers} AS sequence,
    1 AS attempt,
    true AS final,
    received_at,
    concat('gateway-', 1 + worker // 8) AS host,
    concat('llm-gateway-', 1 + worker // 4 % 2) AS instance,
    concat('10.3.', CAST(floor(r7 * 4) AS INTEGER), '.', CAST(floor(r6 * 250) AS INTEGER)) AS client_address,
    printf('team-%02d', 1 + CAST(floor(40 * r7 * r7) AS INTEGER)) AS api_key_id,
    CASE WHEN r4 < 0.6 THEN printf('user-%04d', CAST(floor(3000 * r3 * r3) AS INTEGER)) END AS end_user,
    endpoint,
    CASE endpoint WHEN 'embed' THEN 'embeddings' ELSE 'chat' END AS operation,
    stream, provider, request_model,
    CASE WHEN NOT failed THEN answered END AS response_model,
    CASE WHEN NOT failed AND provider = 'openai' THEN 'default' END AS service_tier,
    CASE WHEN NOT failed THEN 200
        ELSE [429, 400, 499, 502][1 + CAST(floor(r1 * 3.999) AS INTEGER)] END AS http_status,
    CASE WHEN failed THEN ['rate_limit', 'invalid_request', 'client_disconnect', 'provider'][
        1 + CAST(floor(r1 * 3.999) AS INTEGER)] END AS error_class,
    CASE WHEN NOT failed THEN input_tokens END AS input_tokens,
    CASE WHEN NOT failed THEN
        CASE WHEN r3 < 0.3 THEN input_tokens // 128 * 128 ELSE 0 END END AS cached_input_tokens,
    CASE WHEN NOT failed AND provider = 'anthropic' THEN 0 END AS cache_write_tokens,
    CASE WHEN NOT failed THEN output_tokens END AS output_tokens,
    CASE WHEN NOT failed AND provider = 'openai' THEN
        CASE endpoint WHEN 'reason' THEN output_tokens * 6 // 10 ELSE 0 END END AS reasoning_tokens,
    CASE WHEN NOT failed AND provider = 'openai' THEN 0 END AS input_audio_tokens,
    CASE WHEN NOT failed AND provider = 'openai' THEN 0 END AS output_audio_tokens,
    CASE WHEN NOT failed THEN 'provider' END AS usage_source,
    NULL AS provider_cost_usd,
    CASE WHEN NOT failed AND endpoint <> 'embed' THEN 'stop' END AS finish_reason,
    60 + output_tokens * (8 + 8 * r4) + waited + 0.6 + 2.4 * r1 AS duration_ms,
    60 + output_tokens * (8 + 8 * r4) + waited AS upstream_ms,
    CASE WHEN stream AND NOT failed THEN first_token END AS time_to_first_token_ms,
    input_tokens * 4 + 120 + CAST(280 * r1 AS BIGINT) AS request_bytes,
    output_tokens * CASE WHEN stream THEN 180 ELSE 5 END + 280 + CAST(140 * r2 AS BIGINT) AS response_bytes,
    '0.1.0' AS gateway_version,
    '3f9a0c5be177' AS config_digest
FROM calls
"""

_ACCESS = """
SELECT
    1 AS schema_version,
    md5(CAST(number AS VARCHAR)) AS request_id,
    received_at - to_microseconds(CAST(400 + 900 * r5 AS BIGINT)) AS received_at,
    concat('gateway-', 1 + number % 3) AS host,
    concat('10.3.', CAST(floor(r7 * 4) AS INTEGER), '.', CAST(floor(r6 * 250) AS INTEGER)) AS client_address,
    'POST' AS method,
    concat('/gateway/', endpoint, '/invocations') AS path,
    CASE WHEN NOT failed THEN 200 ELSE 502 END AS http_status,
    input_tokens * 4 + 720 AS request_bytes,
    output_tokens * CASE WHEN stream THEN 180 ELSE 5 END + 280 AS response_bytes,
    60 + output_tokens * (8 + 8 * r4) + waited + 0.6 + 2.4 * r1 + 1 + 3 * r5 AS duration_ms,
    concat('10.3.49.', 1 + worker // 8, ':', 5101 + worker // 4 % 2) AS upstream_address,
    CASE WHEN NOT failed THEN '200' ELSE '502' END AS upstream_status,
    '0' AS upstream_connect_ms,
    CAST(CAST(60 + waited AS BIGINT) AS VARCHAR) AS upstream_header_ms,
    CAST(CAST(60 + output_tokens * (8 + 8 * r4) + waited AS BIGINT) AS VARCHAR) AS upstream_ms,
    false AS limited
FROM calls
"""


def write_day(
    connection: duckdb.DuckDBPyConnection, store: Path, day: date, rows: int, *, access: bool
) -> None:
    """Write a UTC day of so many calls: request records and, with `access`, the load balancers' own."""
    first_number = day.toordinal() * 10**8
    kinds = list(zip(*ENDPOINTS, strict=True))
    weights = kinds[4]
    connection.execute(
        _CALLS.format(
            rows=rows,
            day=day,
            day_number=day.toordinal(),
            first_number=first_number,
            workers=_WORKERS,
            bounds=[sum(weights[: n + 1]) / sum(weights) for n in range(len(weights))],
            **{name: list(kinds[n]) for n, name in enumerate(("names", "providers", "models", "answered"))},
        )
    )
    for kind, query in ((REQUESTS, _REQUESTS), (ACCESS, _ACCESS))[: 1 + access]:
        columns = ", ".join(
            f"CAST({name} AS {type_}) AS {name}" for name, type_ in kind.stored_columns.items()
        )
        made = query.format(day_number=day.toordinal(), workers=_WORKERS)
        partition = store / kind.name / f"date={day}"
        partition.mkdir(parents=True, exist_ok=True)
        parts = math.ceil(rows / _PART)
        for part in range(parts):
            first, last = rows * part // parts, rows * (part + 1) // parts
            if first == last:
                continue
            connection.execute(
                f"COPY (SELECT {columns} FROM ({made} WHERE number >= {first_number + first}"
                f" AND number < {first_number + last}) ORDER BY received_at)"
                f" TO '{partition}/part-{part + 1:06}.parquet' ({PARQUET})"
            )


def write(store: Path, records: int, days: int, last: date, access_days: int) -> None:
    """Write a store of so many calls over so many days, the last of which is `last`.

    The last `access_days` of them have access records, too. Days that are there already stay.
    """
    connection = duckdb.connect(config={"memory_limit": "1500MB", "preserve_insertion_order": False})
    connection.execute("SET enable_progress_bar = false")
    (store / "incoming" / "requests").mkdir(parents=True, exist_ok=True)
    # Five days of work and two of rest; the shares add up to the number of days.
    shares = [0.5 if (last - timedelta(days=back)).weekday() > 4 else 1.2 for back in range(days)]
    written = 0
    for back in range(days):
        until = round(records * sum(shares[: back + 1]) / sum(shares))
        day = last - timedelta(days=back)
        if not (store / "requests" / f"date={day}").is_dir():
            write_day(connection, store, day, until - written, access=back < access_days)
        written = until


def main() -> None:
    """Fill a store."""
    parser = argparse.ArgumentParser(description="Fill a store with days of realistic records.")
    parser.add_argument("store", type=Path)
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--access-days", type=int, default=31, help="days with access records, too")
    arguments = parser.parse_args()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    write(arguments.store, arguments.records, arguments.days, yesterday, arguments.access_days)


if __name__ == "__main__":
    main()
