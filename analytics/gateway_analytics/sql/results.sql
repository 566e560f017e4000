-- An evaluation's calls, written out as request records, into the empty table of records.
INSERT INTO records_template BY NAME
SELECT * REPLACE (TRY_CAST(received_at AS TIMESTAMPTZ) AS received_at)
FROM {source}
