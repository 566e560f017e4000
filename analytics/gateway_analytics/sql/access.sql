-- The view `access` over a store's access records, unique by (host, request_id).
-- Variables: access_incoming, access_parquet, since, until (null: open).
CREATE OR REPLACE TEMP VIEW access AS
WITH compacted AS (
    SELECT * FROM (SELECT * FROM access_template UNION ALL BY NAME SELECT * FROM {parquet_source})
    WHERE schema_version = {schema_version} AND {condition}
),
incoming AS (
    SELECT DISTINCT ON (host, request_id) *
    FROM (
        SELECT * REPLACE (TRY_CAST(received_at AS TIMESTAMPTZ) AS received_at) FROM {incoming_source}
    )
    WHERE NOT ({invalid}) AND schema_version = {schema_version} AND {condition}
)
SELECT * FROM compacted
UNION ALL BY NAME
SELECT * FROM incoming ANTI JOIN (SELECT host, request_id FROM compacted) USING (host, request_id)
