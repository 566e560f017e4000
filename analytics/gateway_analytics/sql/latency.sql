-- Percentiles of the raw values in each group, and over all calls: those of a group are never averaged.
WITH ended AS NOT MATERIALIZED (
    SELECT
        {by}
        {request_id}
        CAST(duration_ms AS DOUBLE) AS total,
        CAST(upstream_ms AS DOUBLE) AS upstream,
        CAST(time_to_first_token_ms AS DOUBLE) AS first_token
    FROM calls
    WHERE final
),
{measured}
SELECT
    {by_columns}
    {is_total} AS is_total,
    {measures}
FROM measured
GROUP BY {grouping_sets}
