-- Views over the request records of a store or of a results file; the record's columns come from the contract.
-- Variables: incoming_files, parquet_files, since, until (null: open), and only_... per filter that is in use.

CREATE OR REPLACE TEMP VIEW incoming_lines AS
SELECT * REPLACE (CASE WHEN received_at LIKE '%Z' THEN TRY_CAST(received_at AS TIMESTAMPTZ) END AS received_at)
FROM {incoming_source};

CREATE OR REPLACE TEMP VIEW other_records AS
SELECT * FROM template
UNION ALL BY NAME
SELECT * FROM {parquet_source};

CREATE OR REPLACE TEMP VIEW records AS
WITH incoming AS (
    SELECT DISTINCT ON (boot_id, sequence) * EXCLUDE (filename)
    FROM incoming_lines
    WHERE NOT ({invalid}) AND schema_version = {schema_version} AND {in_range}
),
others AS (
    SELECT * FROM other_records WHERE schema_version = {schema_version} AND {in_range}
)
SELECT * FROM others WHERE {filters}
UNION ALL BY NAME
-- Parquet is unique by itself. A line stays in incoming until Parquet has it, so for a moment both do.
SELECT * FROM incoming ANTI JOIN (SELECT boot_id, sequence FROM others) USING (boot_id, sequence)
WHERE {filters};
