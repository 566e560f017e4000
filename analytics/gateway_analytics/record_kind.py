"""The two kinds of records in a store, and how DuckDB reads their lines without believing them.

DuckDB's JSON reader converts: to it "12" is a number and 5 a text. Where that matters, a column is read as
JSON and converted here, strictly. A line with which it fails is doubtful: `lines.examine` says what it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway_contracts import access_record, request_record
from gateway_contracts.record_field import Field

# What a number may be at most: it is stored with three decimals in 18 digits.
MAX_NUMBER = 10**12
FIRST_MOMENT, LAST_MOMENT = "1970-01-01T00:00:00Z", "3000-01-01T00:00:00Z"

_READ = {
    "int": "BIGINT",
    "number": "DOUBLE",
    "bool": "BOOLEAN",
    "text": "VARCHAR",
    "number or text": "VARCHAR",
}
_STORED = _READ | {"number": "DECIMAL(18, 3)"}
# Texts that often begin with a digit: read with their quotation marks, which tell them from numbers.
_NUMERIC_TEXTS = {
    *("request_id", "boot_id", "client_address", "api_key_id", "end_user", "provider_cost_usd"),
    *("gateway_version", "config_digest", "upstream_address"),
}
_NUMBER = "-?[0-9]+(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_LITERALS = "'true', 'false', 'NaN', 'nan', 'NAN', 'inf', 'Inf', 'INF', 'Infinity', 'infinity', 'INFINITY'"


@dataclass(frozen=True)
class RecordKind:
    """A kind of records: its directory's name, its fields, and what makes a record unique."""

    name: str
    fields: Sequence[Field]
    schema_version: int
    key: tuple[str, str]

    @cached_property
    def read_columns(self) -> dict[str, str]:
        """Types of the columns that a query sees, but received_at as text."""
        return {known.name: _READ[known.type] for known in self.fields}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Fields that may not be null."""
        return tuple(known.name for known in self.fields if not known.nullable)

    def lines(self, files: str, more: str = "") -> str:
        """A FROM clause over lines, converted as DuckDB likes; `files` is an SQL expression."""
        return _read_json(files, self.read_columns, more)

    def careful_lines(self, files: str, more: str = "") -> str:
        """A FROM clause over lines for `stored` and `certain`."""
        return _read_json(files, {known.name: _careful_type(known) for known in self.fields}, more)

    @cached_property
    def stored_columns(self) -> dict[str, str]:
        """Types of the columns of a Parquet file."""
        types = {known.name: _STORED[known.type] for known in self.fields}
        return types | {"received_at": "TIMESTAMPTZ"}

    @cached_property
    def stored(self) -> str:
        """The columns of a Parquet file, from `careful_lines`."""
        return ", ".join(f"{_stored(known)} AS {known.name}" for known in self.fields)

    @cached_property
    def certain(self) -> str:
        """A condition on a row of `careful_lines`: a valid record beyond doubt."""
        version = f"coalesce(schema_version::VARCHAR = '{self.schema_version}', false)"
        return " AND ".join((version, *map(_certain, self.fields)))

    @cached_property
    def complete(self) -> str:
        """A condition on stored rows as a whole: all of them could be read."""
        present = [f"count({name}) = count(*)" for name in self.required]
        return " AND ".join((*present, *(_none_wrong(known) for known in self.fields)))

    @cached_property
    def all_certain(self) -> str:
        """A condition on stored rows as a whole: all of them are valid records beyond doubt."""
        quoted = [f"coalesce(min({known.name}) > chr(1), true)" for known in self.fields if _is_quoted(known)]
        version = (
            f"min(schema_version) = {self.schema_version} AND max(schema_version) = {self.schema_version}"
        )
        return " AND ".join((self.complete, version, *quoted, f"NOT coalesce(bool_or({self.doubts}), false)"))

    @cached_property
    def unquoted_texts(self) -> tuple[str, ...]:
        """Fields of which a stored text alone says whether it was one."""
        texts = (known for known in self.fields if known.type.endswith("text"))
        return tuple(k.name for k in texts if not _is_quoted(k) and k.name != "received_at")

    @cached_property
    def doubts(self) -> str:
        """A condition on a stored row: one of the `unquoted_texts` may be that of another JSON value."""
        return " OR ".join(_no_text(known) for known in self.fields if known.name in self.unquoted_texts)


REQUESTS = RecordKind(
    "requests", request_record.FIELDS, request_record.SCHEMA_VERSION, ("boot_id", "sequence")
)
ACCESS = RecordKind("access", access_record.FIELDS, access_record.SCHEMA_VERSION, ("host", "request_id"))
KINDS = (REQUESTS, ACCESS)


def _read_json(files: str, columns: dict[str, str], more: str) -> str:
    listed = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    options = f"format = 'newline_delimited', ignore_errors = true{more}"
    return f"read_json({files}, columns = {{{listed}}}, {options})"


def _is_quoted(known: Field) -> bool:
    return known.name in _NUMERIC_TEXTS


def _careful_type(known: Field) -> str:
    return "JSON" if known.type in ("int", "number", "bool") or _is_quoted(known) else "VARCHAR"


def _stored(known: Field) -> str:
    """The value of a field as it is stored; where it is of another type -1, chr(1), or null (bool, time)."""
    name, text = known.name, f"{known.name}::VARCHAR"
    wrong = f"CASE WHEN {name} IS NOT NULL THEN -1 END"
    if name == "received_at":
        form = f"{name} LIKE '____-__-__T__:__:__._%Z' OR {name} LIKE '____-__-__T__:__:__Z'"
        return f"CASE WHEN {form} THEN TRY_CAST({name} AS TIMESTAMPTZ) END"
    match known.type:
        case "int":
            # 1.0 and 1e3 are numbers; the reader writes both with a point.
            number = f"coalesce(TRY_CAST({text} AS BIGINT), {wrong})"
            return f"CASE WHEN contains({text}, '.') THEN -1 ELSE {number} END"
        case "number":
            return f"coalesce(TRY_CAST({text} AS {_STORED['number']}), {wrong})"
        case "bool":
            return f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false END"
    if _is_quoted(known):
        return (
            f"CASE WHEN starts_with({text}, '\"') THEN CASE WHEN contains({text}, '\\') THEN {name}->>'$'"
            f" ELSE substr({text}, 2, strlen({text}) - 2) END WHEN {name} IS NOT NULL THEN chr(1) END"
        )
    return name


def _certain(known: Field) -> str:
    name, value = known.name, _stored(known)
    absent = f"{name} IS NULL" if known.nullable else "false"
    match known.type:
        case "int":
            return f"coalesce({value} >= 0, {absent})"
        case "number":
            return f"coalesce({value} >= 0 AND {value} < {MAX_NUMBER}, {absent})"
        case "bool":
            return f"({value} IS NOT NULL OR {absent})"
    if name == "received_at":
        return f"coalesce({value} >= '{FIRST_MOMENT}' AND {value} < '{LAST_MOMENT}', false)"
    if _is_quoted(known):
        return f"coalesce(starts_with({name}::VARCHAR, '\"'), {absent})"
    return f"coalesce(NOT ({_no_text(known)}), {absent})"


def _none_wrong(known: Field) -> str:
    """The same as `_certain` for a whole column of stored values; of texts it says nothing."""
    name = known.name
    match known.type:
        case "int":
            return f"coalesce(min({name}) >= 0, true)"
        case "number":
            return f"coalesce(min({name}) >= 0 AND max({name}) < {MAX_NUMBER}, true)"
    if name == "received_at":
        return f"coalesce(min({name}) >= '{FIRST_MOMENT}' AND max({name}) < '{LAST_MOMENT}', true)"
    return "true"


def _no_text(known: Field) -> str:
    """Whether the text of a value may be that of another JSON value."""
    name = known.name
    first = "0" if known.type == "number or text" else "A"
    return (
        f"ord({name}) IN (91, 123) OR {name} IN ({_LITERALS})"
        f" OR ({name} < '{first}' AND regexp_full_match({name}, '{_NUMBER}'))"
    )
