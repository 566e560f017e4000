SELECT count(*) FROM batch WHERE loading = getvariable('loading') AND {valid}
