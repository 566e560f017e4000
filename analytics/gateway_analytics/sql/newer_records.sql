-- Compacted records of a version that is not known here.
SELECT count(*) AS newer FROM other_records WHERE schema_version > {schema_version}
