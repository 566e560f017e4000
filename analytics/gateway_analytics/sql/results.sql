-- An evaluation's calls, written out as request records, into the empty table of records.
INSERT INTO template BY NAME
SELECT * REPLACE (TRY_CAST(received_at AS TIMESTAMPTZ) AS received_at)
FROM {source}
