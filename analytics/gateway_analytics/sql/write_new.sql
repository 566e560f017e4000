COPY (
    SELECT *
    FROM read_parquet(CAST($new AS VARCHAR[])) AS new
    ANTI JOIN (
        SELECT {key}
        FROM read_parquet(CAST($known AS VARCHAR[]), union_by_name = true, hive_partitioning = false)
        WHERE received_at BETWEEN TIMESTAMPTZ '{first}' AND TIMESTAMPTZ '{last}'
    ) AS known USING ({key})
    ORDER BY received_at
) TO {path} ({options})
