-- What is kept per day, each row as if it were a record at the beginning of its hour. Variable: totals_files.
CREATE OR REPLACE TEMP VIEW kept_records AS
SELECT * FROM read_parquet(getvariable('totals_files'), hive_partitioning = false)
WHERE {in_range} AND {filters}
