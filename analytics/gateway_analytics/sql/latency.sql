-- Percentiles, in microseconds, of the raw values in each group, and over all calls: never averaged.
WITH measured AS NOT MATERIALIZED (
    {measured}
)
SELECT
    {by_columns}
    {is_total} AS is_total,
    {measures}
FROM measured
GROUP BY {grouping_sets}
