-- What request records say by themselves.
measured AS (
    SELECT *, total - upstream AS gateway FROM ended
)
