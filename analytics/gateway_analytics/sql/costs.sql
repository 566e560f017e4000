-- Tokens per group and per everything that a price depends on, so that prices are applied to sums: a cost is linear
-- in tokens. Days between two changes of any price count as one period (variable first_days).
WITH daily AS (
{sums}
)
SELECT
    {by_columns}
    basis, provider, response_model, request_model, service_tier, contradictory,
    coalesce(list_max(list_filter(getvariable('first_days'), lambda first: first <= utc_day)), DATE '0001-01-01')
        AS period,
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
    sum(stated_usd) AS stated_usd,
    bracket, input_unknown, output_unknown, has_output, has_input_audio, has_output_audio
FROM daily
GROUP BY
    {by_columns}
    basis, provider, response_model, request_model, service_tier, contradictory, period,
    bracket, input_unknown, output_unknown, has_output, has_input_audio, has_output_audio
