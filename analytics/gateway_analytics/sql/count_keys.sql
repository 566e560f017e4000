SELECT count(*) FROM (SELECT DISTINCT {key} FROM batch)
