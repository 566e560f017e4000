-- Percentiles of the single calls of each step of the report.
SELECT {step} AS step, quantile_cont(CAST(duration_ms AS DOUBLE), [0.5, 0.9, 0.99]) AS quantiles
FROM calls
WHERE final
GROUP BY ALL
