-- What load balancers added to each call whose access record is there, in microseconds.
-- Only durations are compared, each of one host's clock.
SELECT
    {columns}
    access_us - CAST(duration_ms * 1000 AS BIGINT) AS load_balancer_us
FROM calls
JOIN (
    SELECT request_id, CAST(max(duration_ms) * 1000 AS BIGINT) AS access_us
    FROM access_records
    GROUP BY request_id
) USING (request_id)
WHERE final
