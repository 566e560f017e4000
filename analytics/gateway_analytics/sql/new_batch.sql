-- The table of a batch. Variable `loading` numbers the additions to it.
CREATE OR REPLACE TEMP TABLE batch ({columns}, loading INTEGER);

SET VARIABLE loading = 0;
