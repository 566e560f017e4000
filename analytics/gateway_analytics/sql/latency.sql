-- Percentiles, in microseconds, of the raw values in each group, and over all calls: never averaged.
WITH measured AS NOT MATERIALIZED (
    {measured}
)
SELECT
    {by_columns}
    {is_total} AS is_total,
    count(value) AS requests,
    max(value) AS longest,
    quantile_cont(value, [0.5, 0.9, 0.99]) AS quantiles
FROM measured
GROUP BY {grouping_sets}
