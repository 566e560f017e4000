-- A moment in the session's time zone, as RFC 3339 has it: with `Z`, or an offset of hours and minutes.
CREATE TEMP MACRO zoned(moment, form) AS
    regexp_replace(regexp_replace(strftime(moment, concat(form, '%z')), '[+]00$', 'Z'), '([+-]\d\d)$', '\1:00')
