-- Calls that a load balancer passed to a gateway and of which there is no record; those of the last minutes may still
-- be on their way.
SELECT count(*) AS calls, list(request_id ORDER BY received_at DESC)[1:3] AS examples
FROM access_records ANTI JOIN records USING (request_id)
WHERE NOT limited AND upstream_status IS NOT NULL AND path LIKE '%/%'
    AND {in_range}
    AND received_at < now() - INTERVAL 5 MINUTE
    AND path NOT IN ('/', '/health', '/metrics', '/ping', '/version', '/docs', '/openapi.json')
    AND http_status <> 404
