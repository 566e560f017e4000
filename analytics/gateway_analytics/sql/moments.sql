-- The time of UTC at a moment. Every other way asks a calendar, which takes ten times as long.
CREATE TEMP MACRO utc(moment) AS make_timestamp(epoch_us(moment));

-- What a clock in the session's time zone shows at a moment.
CREATE TEMP MACRO clock(moment, form) AS strftime({clock}, form);

-- A moment in the session's time zone, as RFC 3339 has it: with `Z`, or an offset of hours and minutes.
CREATE TEMP MACRO zoned(moment, form) AS
    regexp_replace(regexp_replace(strftime(moment, concat(form, '%z')), '[+]00$', 'Z'), '([+-]\d\d)$', '\1:00')
