-- Calls per group, and over all of them; percentiles are of the raw durations in each group.
-- A call without any HTTP status (evaluations only) got no answer: it failed.
SELECT
    {by_columns}
    {is_total} AS is_total,
    count(*) FILTER (final) AS requests,
    count(*) FILTER (final AND http_status < 400) AS successful_requests,
    count(*) FILTER (final AND coalesce(http_status, 599) >= 400) AS failed_requests,
    sum(input_tokens) AS input_tokens,
    sum(cached_input_tokens) AS cached_input_tokens,
    sum(output_tokens) AS output_tokens,
    round(quantile_cont(duration_ms, 0.5) FILTER (final), 3) AS duration_ms_p50,
    round(quantile_cont(duration_ms, 0.95) FILTER (final), 3) AS duration_ms_p95
FROM (SELECT {by} calls.* FROM calls)
GROUP BY {grouping_sets}
