-- Per group: how the calls that the load balancers saw are explained, and what each witness misses.
-- Variable hosts: only these; empty for all.
WITH everything AS (
    SELECT received_at, host, class, 1 AS calls FROM explained
    UNION ALL BY NAME
    SELECT
        received_at, host,
        CASE WHEN received_at > getvariable('settled') THEN 'gap_not_yet_shipped' ELSE 'gap' END AS class,
        missing AS calls
    FROM gaps
    UNION ALL BY NAME
    SELECT received_at, host, 'not_through_load_balancer' AS class, 1 AS calls
    FROM finals ANTI JOIN passed USING (request_id)
    WHERE {in_range} AND {balanced} AND received_at <= getvariable('settled')
),
hours AS (
    SELECT
        date_trunc('hour', received_at) AS received_at, host,
        {counts}
        coalesce(sum(calls) FILTER (class = 'gap'), 0) AS sequence_gaps,
        -- A record that is lost is missing to both witnesses: count it once.
        greatest(
            coalesce(sum(calls) FILTER (class = 'lost'), 0), coalesce(sum(calls) FILTER (class = 'gap'), 0)
        ) AS lost
    FROM everything
    WHERE len(getvariable('hosts')) = 0 OR list_contains(getvariable('hosts'), host)
    GROUP BY ALL
)
SELECT {by_columns} {is_total} AS is_total, {sums}
FROM (SELECT {by} hours.* FROM hours)
GROUP BY {grouping_sets}
