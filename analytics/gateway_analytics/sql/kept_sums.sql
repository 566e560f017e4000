-- The columns of sums.sql in its order, from sums that are kept per day.
SELECT
    {by}
    basis, provider, response_model, request_model, service_tier,
    {long_context_bracket} AS bracket,
    input_unknown, output_unknown, has_output, has_input_audio, has_output_audio, contradictory,
    sum(records) AS records,
    sum(requests) AS requests,
    sum(failed_requests) AS failed_requests,
    max(longest_input) AS longest_input,
    sum(input_tokens) AS input_tokens,
    sum(cached_input_tokens) AS cached_input_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(input_audio_tokens) AS input_audio_tokens,
    sum(output_audio_tokens) AS output_audio_tokens,
    sum(stated_usd) AS stated_usd
FROM kept
GROUP BY ALL
