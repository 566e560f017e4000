-- The same with what the load balancers saw.
seen AS NOT MATERIALIZED (
    SELECT request_id, CAST(max(duration_ms) AS DOUBLE) AS access_ms
    FROM access_records
    GROUP BY request_id
),
measured AS NOT MATERIALIZED (
    -- Only durations are compared, each of one host's clock.
    SELECT *, total - upstream AS gateway, access_ms - total AS load_balancer
    FROM ended LEFT JOIN seen USING (request_id)
)
