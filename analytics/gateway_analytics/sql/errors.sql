-- Failures per group, with the newest request ids as examples; an attempt that was made again counts as one.
SELECT
    {by_columns}
    count(*) FILTER (final) AS failed_requests,
    count(*) FILTER (NOT final) AS failed_attempts,
    list_sort(list(DISTINCT http_status) FILTER (http_status IS NOT NULL)) AS statuses,
    zoned(max(received_at), '%Y-%m-%dT%H:%M:%S') AS last_seen,
    max_by(request_id, received_at, 3) AS examples
FROM (SELECT {by} calls.* FROM calls WHERE NOT final OR coalesce(http_status, 599) >= 400)
GROUP BY ALL
