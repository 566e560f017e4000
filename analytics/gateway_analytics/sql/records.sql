-- A view over the records of one kind in a store, or over those of a results file, each once.
-- Variables: {view}_incoming, {view}_parquet, since, until (null: open), and only_... per filter that is in use.

CREATE OR REPLACE TEMP VIEW {view}_lines AS
SELECT * REPLACE (CASE WHEN received_at LIKE '%Z' THEN TRY_CAST(received_at AS TIMESTAMPTZ) END AS received_at)
FROM {incoming_source};

CREATE OR REPLACE TEMP VIEW {view}_others AS
SELECT * FROM {view}_template
UNION ALL BY NAME
SELECT * FROM {parquet_source};

CREATE OR REPLACE TEMP VIEW {view} AS
WITH incoming AS NOT MATERIALIZED (
    SELECT DISTINCT ON ({key}) *
    FROM {view}_lines
    WHERE NOT ({invalid}) AND schema_version = {schema_version} AND {in_range}
),
others AS NOT MATERIALIZED (
    SELECT * FROM {view}_others WHERE schema_version = {schema_version} AND {in_range}
)
SELECT * FROM others WHERE {filters}
UNION ALL BY NAME
-- Parquet is unique by itself. A line stays in incoming until Parquet has it, so for a time both do.
SELECT * FROM incoming ANTI JOIN (SELECT {key} FROM others) USING ({key})
WHERE {filters};
