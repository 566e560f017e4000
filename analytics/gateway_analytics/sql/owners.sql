-- Each call with the owner of its key on that day, a day being the user's; a key nobody owned then has none.
CREATE OR REPLACE TEMP VIEW calls AS
WITH spans AS (
    SELECT
        api_key_id, owner, team,
        CAST(valid_from AS TIMESTAMPTZ) AS owned_from,
        coalesce(
            CAST(lead(valid_from) OVER (PARTITION BY api_key_id ORDER BY valid_from) AS TIMESTAMPTZ),
            TIMESTAMPTZ 'infinity'
        ) AS owned_until
    FROM ownership
)
SELECT records.*, spans.owner, spans.team
FROM records
LEFT JOIN spans
    ON records.api_key_id = spans.api_key_id
    AND records.received_at >= spans.owned_from AND records.received_at < spans.owned_until
WHERE {in_range}
