COPY (
    SELECT *
    FROM read_parquet(CAST($parts AS VARCHAR[]), union_by_name = true, hive_partitioning = false)
    ORDER BY received_at
) TO {path} ({options})
