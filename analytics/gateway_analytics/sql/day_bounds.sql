-- What a day's records must have in common for something else to stand for them.
SELECT
    strftime(min(received_at), '%Y-%m-%d'), strftime(max(received_at), '%Y-%m-%d'),
    min(schema_version), max(schema_version),
    (SELECT max(schema_version) FROM access_records)
FROM calls
