-- Lines added to the table of a batch.
SET VARIABLE loading = getvariable('loading') + 1;

INSERT INTO batch
SELECT {stored}, getvariable('loading')
FROM {source};
