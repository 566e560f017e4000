-- The first and the last call of each group.
SELECT
    {by_columns}
    zoned(min(received_at), '%Y-%m-%dT%H:%M:%S') AS first_used,
    zoned(max(received_at), '%Y-%m-%dT%H:%M:%S') AS last_used
FROM (SELECT {by} calls.received_at FROM calls)
GROUP BY {group}
