-- Numbers missing within a worker's records: each was given out, and none arrived.
SELECT count(*) AS workers, coalesce(sum(missing), 0) AS missing, list(boot_id ORDER BY missing DESC)[1:3] AS examples
FROM (
    SELECT boot_id, max(sequence) - min(sequence) + 1 - count(*) AS missing
    FROM calls
    GROUP BY boot_id
)
WHERE missing > 0
