DELETE FROM batch WHERE loading = getvariable('loading')
