-- Each call with the owner of its key on that day, a day being the user's; a key nobody owned then has none.
CREATE OR REPLACE TEMP VIEW {view} AS
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
SELECT {source}.*, spans.owner, spans.team
FROM {source}
LEFT JOIN spans
    ON {source}.api_key_id = spans.api_key_id
    AND {source}.received_at >= spans.owned_from AND {source}.received_at < spans.owned_until
WHERE {in_range}
