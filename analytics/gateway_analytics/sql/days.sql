-- The UTC days of lines.
SELECT DISTINCT strftime(timezone('UTC', TRY_CAST(received_at AS TIMESTAMPTZ)), '%Y-%m-%d') AS day
FROM {source}
WHERE received_at IS NOT NULL
