-- The UTC days of a batch, each with its number of records and its first and last moment.
SELECT
    strftime(timezone('UTC', received_at), '%Y-%m-%d') AS day,
    count(*) AS records,
    strftime(timezone('UTC', min(received_at)), '%Y-%m-%dT%H:%M:%S.%fZ') AS first,
    strftime(timezone('UTC', max(received_at)), '%Y-%m-%dT%H:%M:%S.%fZ') AS last
FROM {source}
GROUP BY day
ORDER BY day
