-- What request records say by themselves.
measured AS NOT MATERIALIZED (
    SELECT *, total - upstream AS gateway FROM ended
)
