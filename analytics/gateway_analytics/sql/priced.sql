-- The view `costs`: every record with its cost, through `rates`, which has what each kind of record costs per token.
-- Counts of 10^18 tokens and more have no cost here: they would not fit DuckDB's decimals.
CREATE OR REPLACE TEMP VIEW costs AS
WITH days AS (
    SELECT
        utc_day,
        coalesce(
            list_max(list_filter(getvariable('first_days'), lambda first: first <= utc_day)), DATE '0001-01-01'
        ) AS period
    FROM (SELECT DISTINCT CAST(utc(received_at) AS DATE) AS utc_day FROM calls)
),
keyed AS (
    SELECT
        calls.*,
        CASE WHEN provider_cost_usd IS NOT NULL
                 THEN CASE WHEN {stated_readable} THEN 'stated' ELSE 'unreadable' END
             WHEN {unbilled} THEN 'unbilled'
             WHEN usage_source = 'partial' THEN 'partial'
             ELSE 'computed' END AS basis,
        days.period,
        {long_context_bracket} AS bracket,
        input_tokens IS NULL AS input_unknown,
        output_tokens IS NULL AS output_unknown,
        coalesce(output_tokens > 0, false) AS has_output,
        coalesce(input_audio_tokens > 0, false) AS has_input_audio,
        coalesce(output_audio_tokens > 0, false) AS has_output_audio,
        {contradictory} AS contradictory
    FROM calls JOIN days ON CAST(utc(calls.received_at) AS DATE) = days.utc_day
)
SELECT
    keyed.* EXCLUDE (
        basis, period, bracket, input_unknown, output_unknown, has_output, has_input_audio, has_output_audio,
        contradictory
    ),
    CASE
        WHEN keyed.basis = 'stated' THEN TRY_CAST(provider_cost_usd AS DECIMAL(38, 18))
        WHEN keyed.basis = 'unbilled' THEN CAST(0 AS DECIMAL(38, 18))
        WHEN rates.unpriced IS NULL THEN CAST(
            TRY_CAST(coalesce(input_tokens, 0) - coalesce(cached_input_tokens, 0) - coalesce(cache_write_tokens, 0)
                     - coalesce(input_audio_tokens, 0) AS DECIMAL(18, 0)) * rates.input
            + TRY_CAST(coalesce(cached_input_tokens, 0) AS DECIMAL(18, 0)) * rates.cached_input
            + TRY_CAST(coalesce(cache_write_tokens, 0) AS DECIMAL(18, 0)) * rates.cache_write
            + TRY_CAST(coalesce(input_audio_tokens, 0) AS DECIMAL(18, 0)) * rates.input_audio
            + TRY_CAST(coalesce(output_tokens, 0) - coalesce(output_audio_tokens, 0) AS DECIMAL(18, 0)) * rates.output
            + TRY_CAST(coalesce(output_audio_tokens, 0) AS DECIMAL(18, 0)) * rates.output_audio
            AS DECIMAL(38, 18))
    END AS cost_usd,
    CASE keyed.basis WHEN 'stated' THEN 'provider_stated' WHEN 'unreadable' THEN NULL ELSE keyed.basis END AS evidence,
    rates.unpriced AS unpriced
FROM keyed
LEFT JOIN rates ON {same}
