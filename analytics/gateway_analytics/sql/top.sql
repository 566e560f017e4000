-- What each value of each of several groups cost per step; `which` is the group's number. Over the view `costs`.
WITH called AS (
    SELECT
        {columns}
        {step} AS step,
        final, http_status, unpriced,
        CASE WHEN evidence <> 'unbilled' THEN cost_usd END AS spent
    FROM costs
)
SELECT
    CASE {which} END AS which,
    CASE {value} END AS name,
    step,
    count(*) FILTER (final) AS requests,
    count(*) FILTER (final AND coalesce(http_status, 599) >= 400) AS failed_requests,
    count(unpriced) AS unpriced_requests,
    sum(spent) AS spent
FROM called
GROUP BY GROUPING SETS ({sets})
