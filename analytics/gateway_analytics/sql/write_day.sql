COPY (
    SELECT {columns}
    FROM {source}
    WHERE received_at >= TIMESTAMPTZ '{day}T00:00:00Z'
        AND received_at < TIMESTAMPTZ '{day}T00:00:00Z' + INTERVAL 1 DAY
    ORDER BY received_at
) TO {path} ({options})
