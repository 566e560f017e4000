-- Token sums of the records that share a group and everything that a price depends on, except its date.
SELECT
    {by}
    CASE WHEN provider_cost_usd IS NOT NULL
             THEN CASE WHEN {stated_readable} THEN 'stated' ELSE 'unreadable' END
         WHEN {unbilled} THEN 'unbilled'
         WHEN usage_source = 'partial' THEN 'partial'
         ELSE 'computed' END AS basis,
    provider, response_model, request_model, service_tier,
    -- What records must have in common for the sum of their tokens to cost what they cost one by one.
    {long_context_bracket} AS bracket,
    input_tokens IS NULL AS input_unknown,
    output_tokens IS NULL AS output_unknown,
    coalesce(output_tokens > 0, false) AS has_output,
    coalesce(input_audio_tokens > 0, false) AS has_input_audio,
    coalesce(output_audio_tokens > 0, false) AS has_output_audio,
    {contradictory} AS contradictory,
    count(*) AS records,
    count(*) FILTER (final) AS requests,
    count(*) FILTER (final AND coalesce(http_status, 599) >= 400) AS failed_requests,
    max(input_tokens) AS longest_input,
    sum(input_tokens) AS input_tokens,
    sum(cached_input_tokens) AS cached_input_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(input_audio_tokens) AS input_audio_tokens,
    sum(output_audio_tokens) AS output_audio_tokens,
    sum(CASE WHEN {stated_readable} THEN CAST(provider_cost_usd AS DECIMAL(38, 18)) END) AS stated_usd
FROM calls
WHERE {condition}
GROUP BY ALL
