-- The first and the last call of each group.
SELECT
    {by_columns}
    regexp_replace(strftime(min(received_at), '%Y-%m-%dT%H:%M:%S%z'), '([+-]\d\d)$', '\1:00') AS first_used,
    regexp_replace(strftime(max(received_at), '%Y-%m-%dT%H:%M:%S%z'), '([+-]\d\d)$', '\1:00') AS last_used
FROM (SELECT {by} calls.received_at FROM calls)
GROUP BY {group}
