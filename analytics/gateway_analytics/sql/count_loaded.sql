-- How many rows the last addition made, and whether all of them are right.
SELECT count(*), {condition} FROM batch WHERE loading = getvariable('loading')
