-- What both witnesses say: the load balancers' access records and the numbers that gateways give their records.
-- Variables: since, until (null: open), settled and overdue (moments), first_days (where days before were deleted).

CREATE OR REPLACE TEMP TABLE boots AS
SELECT
    boot_id, any_value(host) AS host, any_value(instance) AS instance,
    min(received_at) AS first_at, max(received_at) AS last_at,
    min(sequence) AS first_number, max(sequence) AS last_number, count(*) AS records
FROM records
GROUP BY boot_id;

CREATE OR REPLACE TEMP TABLE finals AS
SELECT request_id, any_value(host) AS host, any_value(instance) AS instance,
    min(received_at) AS received_at, max(duration_ms) AS duration_ms
FROM records
WHERE final
GROUP BY request_id;

CREATE OR REPLACE TEMP TABLE passed AS
SELECT
    request_id, received_at, host, http_status, limited,
    received_at + to_milliseconds(CAST(duration_ms AS BIGINT)) AS ended_at,
    method = 'POST' AND regexp_full_match(path, {calls}) AS is_call,
    -- Of several tries, the last.
    regexp_extract(upstream_address, '[^ ,]+$') AS gateway,
    coalesce(regexp_extract(upstream_connect_ms, '[^ ,]+$'), '') NOT IN ('', '-') AS connected,
    regexp_extract(upstream_header_ms, '[^ ,]+$') AS header_ms
FROM access_records;

-- Which gateway has which address: known from the calls that both witnesses saw.
CREATE OR REPLACE TEMP TABLE gateways AS
SELECT gateway, mode(finals.host) AS host, mode(finals.instance) AS instance
FROM passed JOIN finals USING (request_id)
WHERE gateway IS NOT NULL
GROUP BY gateway;

CREATE OR REPLACE TEMP TABLE newest AS
SELECT host, max(last_at) AS last_at FROM boots GROUP BY host;

-- A gateway process that ended while the call ran: one that was never seen again, and one that began after it.
CREATE OR REPLACE TEMP TABLE ends AS
SELECT DISTINCT before.host, before.instance, before.last_at AS last_at, after.first_at AS first_at
FROM boots AS before JOIN boots AS after
    ON before.host = after.host AND before.instance = after.instance AND before.boot_id <> after.boot_id
    AND after.first_at >= before.last_at AND after.first_at <= before.last_at + INTERVAL 1 HOUR;

CREATE OR REPLACE TEMP TABLE explained AS
SELECT
    passed.received_at, passed.header_ms, passed.ended_at,
    coalesce(gateways.host, passed.host) AS host, gateways.instance,
    CASE
        WHEN finals.request_id IS NOT NULL THEN 'recorded'
        WHEN passed.limited THEN 'limited'
        WHEN NOT passed.is_call THEN 'no_call'
        WHEN NOT passed.connected THEN 'before_gateway'
        WHEN passed.ended_at > getvariable('settled') THEN 'not_yet_shipped'
        WHEN coalesce(newest.last_at < passed.ended_at, true) AND passed.ended_at > getvariable('overdue')
            THEN 'not_yet_shipped'
        -- The load balancer never got an answer, and it was not the caller who left.
        WHEN coalesce(passed.header_ms, '') IN ('', '-') AND passed.http_status <> 499 THEN 'in_flight'
        WHEN EXISTS (
            FROM ends
            WHERE ends.host = gateways.host AND ends.instance = gateways.instance
                AND ends.last_at <= passed.ended_at AND ends.first_at >= passed.received_at
        ) THEN 'in_flight'
        ELSE 'lost'
    END AS class
FROM passed
LEFT JOIN finals USING (request_id)
LEFT JOIN gateways USING (gateway)
LEFT JOIN newest ON newest.host = gateways.host
WHERE {call_in_range};

-- A gateway that answers one call did not end with another that was over before: the record of that is lost.
CREATE OR REPLACE TEMP TABLE last_answers AS
WITH answers AS (
    SELECT host, instance, received_at + to_milliseconds(TRY_CAST(header_ms AS DOUBLE)) AS answered_at
    FROM explained
    WHERE class = 'in_flight'
)
SELECT ends.*, max(answered_at) AS answered_at
FROM ends LEFT JOIN answers ON answers.host = ends.host AND answers.instance = ends.instance
    AND answered_at >= ends.last_at AND answered_at <= ends.first_at
GROUP BY ALL;

UPDATE explained SET class = 'lost'
WHERE class = 'in_flight' AND TRY_CAST(header_ms AS DOUBLE) IS NOT NULL AND NOT EXISTS (
    FROM last_answers AS ends
    WHERE ends.host = explained.host AND ends.instance = explained.instance
        AND ends.last_at <= explained.ended_at AND ends.first_at >= explained.received_at
        -- Load balancers' clocks differ.
        AND coalesce(ends.answered_at <= explained.ended_at + INTERVAL 1 SECOND, true)
);

CREATE OR REPLACE TEMP TABLE gaps AS
WITH numbered AS (
    SELECT
        boot_id, host, received_at, sequence,
        coalesce(
            lag(sequence) OVER (PARTITION BY boot_id ORDER BY sequence),
            -- What came before the first record of a process may lie before all that is looked at.
            CASE WHEN received_at > {first_known} THEN 0 ELSE sequence - 1 END
        ) AS before
    FROM records
    WHERE boot_id IN (SELECT boot_id FROM boots WHERE records < last_number)
)
SELECT boot_id, host, received_at, sequence - before - 1 AS missing
FROM numbered
WHERE sequence - before > 1 AND {in_range};
