"""Which time a command looks at, in the user's time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from gateway_analytics.problems import UsageProblem

if TYPE_CHECKING:
    import duckdb

_LAST = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Both ends included; None is open. Texts are RFC 3339 in the user's zone, to the microsecond."""

    tz: str
    since: str | None = None
    until: str | None = None
    first_utc_date: str | None = None
    last_utc_date: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """As every JSON answer carries it."""
        return {"since": self.since, "until": self.until, "tz": self.tz}


def resolve(
    connection: "duckdb.DuckDBPyConnection", tz: str, since: str | None, until: str | None, last: str | None
) -> TimeRange:
    """Set the connection's time zone, variables `since` and `until`, and say what they mean.

    DuckDB's own time zone data decides, so that a range and the days inside it can never disagree.
    """
    from gateway_analytics.engine import duckdb

    try:
        connection.execute("SET TimeZone = $tz", {"tz": tz})
    except duckdb.Error as error:
        near = re.findall(r'"([^"]+)"', str(error).partition("Candidate")[2])
        remedy = f" Did you mean {near[0]}?" if near else ""
        raise UsageProblem(
            f"--tz: {tz!r} is no time zone.{remedy} Use a name such as Europe/Berlin or UTC."
        ) from None
    if last is not None:
        if since is not None or until is not None:
            raise UsageProblem("--last goes without --since and --until. Use one or the other.")
        since = parse_last(last)
    start = _bound(connection, "since", since, end_of_day=False)
    end = _bound(connection, "until", until, end_of_day=True)
    if connection.execute("SELECT getvariable('since') > getvariable('until')").fetchall()[0][0]:
        raise UsageProblem(f"--since {since} is after --until {until}. Swap them.")
    return TimeRange(tz, start[0], end[0], start[1], end[1])


def parse_last(text: str, now: datetime | None = None) -> str:
    """The moment so long ago, as an RFC 3339 text; days are 24 hours, weeks 7 of those."""
    try:
        moment = (now or datetime.now(UTC)) - parse_period("--last", text)
    except OverflowError:
        raise UsageProblem(
            f"--last: {text!r} reaches back before all calendars. Use a shorter period."
        ) from None
    return moment.isoformat()


def parse_period(option: str, text: str) -> timedelta:
    """The length of a period such as 7d; days are 24 hours. Raises UsageProblem."""
    match = _LAST.fullmatch(text.strip())
    if not match or not int(match[1]):
        raise UsageProblem(f"{option}: {text!r} is no period. Use a number and m, h, d or w, such as 7d.")
    return int(match[1]) * _UNITS[match[2]]


def _bound(
    connection: "duckdb.DuckDBPyConnection", name: str, text: str | None, *, end_of_day: bool
) -> tuple[str | None, str | None]:
    """Set one variable; return the moment as text and its UTC date."""
    value = "CAST(NULL AS TIMESTAMPTZ)"
    if text is not None:
        if not _readable(text):
            raise UsageProblem(
                f"--{name}: {text!r} is no date such as 2026-11-01 and no time such as 2026-11-01T08:30."
            )
        value = "CAST($text AS TIMESTAMPTZ)"
        if end_of_day and _is_date(text):
            value = "CAST(CAST($text AS DATE) + 1 AS TIMESTAMPTZ) - INTERVAL 1 MICROSECOND"
    # The name is one of two written above and the value one of three; the user's text stays a parameter.
    connection.execute(f"SET VARIABLE {name} = {value}", {"text": text} if text is not None else {})
    row = connection.execute(
        f"SELECT strftime(getvariable('{name}'), '%Y-%m-%dT%H:%M:%S.%f%z'),"
        f" strftime(timezone('UTC', getvariable('{name}')), '%Y-%m-%d')"
    ).fetchall()[0]
    return (offset(row[0]) if row[0] else None), row[1]


def offset(text: str) -> str:
    """Write DuckDB's `+02` as RFC 3339's `+02:00`, and no offset as `Z`; drop an empty fraction."""
    text = re.sub(r"([+-][0-9]{2})$", r"\1:00", text.replace(".000000", ""))
    return re.sub(r"[+-]00:00$", "Z", text)


def _is_date(text: str) -> bool:
    return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None


def _readable(text: str) -> bool:
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        if _is_date(text):
            return date.fromisoformat(text) < date.max
        return datetime.fromisoformat(text).year < date.max.year
    except ValueError:
        return False
