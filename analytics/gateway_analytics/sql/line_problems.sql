-- Lines of incoming files that are no record of a version known here, per file.
SELECT
    filename,
    count(*) FILTER (coalesce(schema_version, 0) <= {schema_version} AND ({invalid})) AS invalid,
    count(*) FILTER (schema_version > {schema_version}) AS newer
FROM incoming_lines
GROUP BY filename
HAVING invalid > 0 OR newer > 0
ORDER BY filename
