-- Per host: its newest call, and how its clock stands to those of the load balancers that passed its calls on.
WITH newest AS (
    SELECT host, max(received_at) AS newest, count(*) AS calls FROM calls GROUP BY host
),
skew AS (
    SELECT c.host, median(epoch_ms(c.received_at) - epoch_ms(a.received_at)) AS skew_ms
    FROM (SELECT DISTINCT ON (request_id) request_id, host, received_at FROM calls) AS c
    JOIN (SELECT DISTINCT ON (request_id) request_id, received_at, duration_ms FROM access_records) AS a
        USING (request_id)
    GROUP BY c.host
)
SELECT
    host, calls, skew_ms,
    date_diff('second', newest, now()) AS age_seconds,
    date_diff('second', newest, max(newest) OVER ()) AS behind_seconds
FROM newest LEFT JOIN skew USING (host)
ORDER BY host
