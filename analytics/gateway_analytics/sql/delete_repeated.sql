DELETE FROM batch WHERE rowid NOT IN (SELECT min(rowid) FROM batch GROUP BY {key})
