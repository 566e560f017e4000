-- The records of a day. Variable: parts.
CREATE OR REPLACE TEMP VIEW calls AS
FROM read_parquet(getvariable('parts'), union_by_name = true, hive_partitioning = false)
