-- Per incoming file, the lines that are not beyond doubt a valid record.
SELECT filename, count(*) AS doubtful
FROM {source}
WHERE NOT ({certain})
GROUP BY filename
