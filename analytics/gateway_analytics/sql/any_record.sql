-- Whether there is any record.
SELECT true AS found FROM {view} LIMIT 1
