-- Lines added to the table of a batch; variable `loading` numbers the additions.
SET VARIABLE loading = coalesce(getvariable('loading'), 0) + 1;

CREATE TEMP TABLE IF NOT EXISTS batch AS
SELECT {stored}, false AS certain, 0 AS loading FROM {source} LIMIT 0;

INSERT INTO batch
SELECT {stored}, {certain} AS certain, getvariable('loading') AS loading
FROM {source};
