-- Percentiles of the raw values in each group, and over all calls: those of a group are never averaged.
WITH calls AS (
    SELECT
        {by}
        request_id,
        CAST(duration_ms AS DOUBLE) AS total,
        CAST(upstream_ms AS DOUBLE) AS upstream,
        CAST(time_to_first_token_ms AS DOUBLE) AS first_token
    FROM calls
    WHERE final
),
seen AS (
    SELECT request_id, CAST(max(duration_ms) AS DOUBLE) AS access_ms
    FROM access_records
    GROUP BY request_id
),
measured AS (
    -- Only durations are compared, each of one host's clock.
    SELECT *, total - upstream AS gateway, access_ms - total AS load_balancer
    FROM calls LEFT JOIN seen USING (request_id)
)
SELECT
    {by_columns}
    {is_total} AS is_total,
    {measures}
FROM measured
GROUP BY {grouping_sets}
