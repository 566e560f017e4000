-- Compacted records of a version that is not known here.
SELECT count(*) AS newer FROM {view}_others WHERE schema_version > {schema_version}
