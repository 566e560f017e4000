-- Lines sorted into a Parquet file; answers with the statistics of its columns.
COPY (
    SELECT * FROM (SELECT {stored} FROM {source}) ORDER BY received_at
) TO {path} ({options}, RETURN_STATS)
