-- Whether some whole hour of UTC is none in the user's time zone.
SELECT bool_or(date_part('minute', hour) <> 0 OR date_part('second', hour) <> 0)
FROM range(CAST($first AS TIMESTAMPTZ), CAST($end AS TIMESTAMPTZ), INTERVAL 1 HOUR) AS hours (hour)
