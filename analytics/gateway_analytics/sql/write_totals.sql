-- A day's sums. Those that are too large for an integer fail: such a day keeps none.
COPY (
    SELECT * REPLACE (
        CAST(input_tokens AS BIGINT) AS input_tokens,
        CAST(cached_input_tokens AS BIGINT) AS cached_input_tokens,
        CAST(cache_write_tokens AS BIGINT) AS cache_write_tokens,
        CAST(output_tokens AS BIGINT) AS output_tokens,
        CAST(input_audio_tokens AS BIGINT) AS input_audio_tokens,
        CAST(output_audio_tokens AS BIGINT) AS output_audio_tokens
    )
    FROM (
{made}
    )
) TO {path} ({options})
