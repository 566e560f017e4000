-- How many records of a new part a day's other parts have. The same record has the same time.
SELECT count(*)
FROM read_parquet(CAST($new AS VARCHAR[])) AS new
SEMI JOIN (
    SELECT {key}
    FROM read_parquet(CAST($known AS VARCHAR[]), union_by_name = true, hive_partitioning = false)
    WHERE received_at BETWEEN TIMESTAMPTZ '{first}' AND TIMESTAMPTZ '{last}'
) AS known USING ({key})
