-- The name of a column, where one of its texts may be another JSON value. Few differ: each is looked at but once.
SELECT '{column}'
FROM (SELECT DISTINCT {column} FROM read_parquet({path}))
WHERE {doubt}
