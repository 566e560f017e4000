-- Single calls, newest first: the record of what the caller got. Times alone are read of all calls, and whole
-- records of the time of the newest.
SET VARIABLE newest_since = (
    SELECT min(received_at)
    FROM (SELECT received_at FROM calls WHERE final ORDER BY received_at DESC LIMIT {limit})
);
SELECT
    zoned(received_at, '%Y-%m-%dT%H:%M:%S.%f') AS received_at,
    request_id, host, instance, endpoint, provider, coalesce(response_model, request_model) AS model,
    api_key_id AS api_key, end_user AS "user", http_status AS status, error_class, stream, attempt AS attempts,
    input_tokens, cached_input_tokens, output_tokens, duration_ms, time_to_first_token_ms,
    (SELECT count(*) FROM calls WHERE final) AS calls
FROM calls
WHERE final AND calls.received_at >= getvariable('newest_since')
ORDER BY calls.received_at DESC, request_id, boot_id, sequence
LIMIT {limit}
