-- Whether no text may be that of another JSON value. Few differ, so that they are looked at but once.
SELECT count(*) FILTER ({doubts}) = 0
FROM (SELECT DISTINCT {texts} FROM read_parquet({path}))
