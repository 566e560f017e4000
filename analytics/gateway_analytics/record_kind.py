"""The two kinds of records in a store, and how DuckDB reads their lines without believing them.

DuckDB's JSON reader converts: to it "12" is a number and 5 a text. Where that matters, a column is read as
JSON and converted here, strictly. A line with which it fails is doubtful: `lines.examine` says what it is.
"""

from collections.abc import Sequence, Set
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
_NUMERIC_TEXTS = frozenset(
    {
        *("request_id", "boot_id", "client_address", "api_key_id", "end_user", "provider_cost_usd"),
        *("gateway_version", "config_digest", "upstream_address"),
    }
)
# DuckDB's reader knows numbers that JSON does not.
_NUMBER = "-?(?:[0-9]+(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|(?i:nan|inf|infinity))"


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

    def careful_lines(self, files: str, more: str = "", quoted: Set[str] = _NUMERIC_TEXTS) -> str:
        """A FROM clause over lines for `stored` and `certain`; `quoted` texts keep their quotation marks."""
        return _read_json(files, {known.name: _careful_type(known, quoted) for known in self.fields}, more)

    @cached_property
    def stored_columns(self) -> dict[str, str]:
        """Types of the columns of a Parquet file."""
        types = {known.name: _STORED[known.type] for known in self.fields}
        return types | {"received_at": "TIMESTAMPTZ"}

    @cached_property
    def stored(self) -> str:
        """The columns of a Parquet file, from `careful_lines`."""
        return ", ".join(f"{_stored(known, _NUMERIC_TEXTS)} AS {known.name}" for known in self.fields)

    def stored_or_error(self, quoted: Set[str]) -> str:
        """The same in less time, from `careful_lines` with these `quoted`; an error for what is no number."""
        return ", ".join(f"{_stored_or_error(known, quoted)} AS {known.name}" for known in self.fields)

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
        quoted = [f"coalesce(min({name}) > chr(1), true)" for name in self.texts if name in _NUMERIC_TEXTS]
        version = (
            f"min(schema_version) = {self.schema_version} AND max(schema_version) = {self.schema_version}"
        )
        doubts = " OR ".join(doubt for name, doubt in self.texts.items() if name not in _NUMERIC_TEXTS)
        return " AND ".join((self.complete, version, *quoted, f"NOT coalesce(bool_or({doubts}), false)"))

    @cached_property
    def texts(self) -> dict[str, str]:
        """Texts but received_at, each with the condition that a stored one may be another JSON value."""
        texts = (known for known in self.fields if known.type.endswith("text"))
        return {known.name: _no_text(known) for known in texts if known.name != "received_at"}


REQUESTS = RecordKind(
    "requests", request_record.FIELDS, request_record.SCHEMA_VERSION, ("boot_id", "sequence")
)
ACCESS = RecordKind("access", access_record.FIELDS, access_record.SCHEMA_VERSION, ("host", "request_id"))
KINDS = (REQUESTS, ACCESS)


def _read_json(files: str, columns: dict[str, str], more: str) -> str:
    listed = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    options = f"format = 'newline_delimited', ignore_errors = true{more}"
    return f"read_json({files}, columns = {{{listed}}}, {options})"


def _careful_type(known: Field, quoted: Set[str]) -> str:
    return "JSON" if known.type in ("int", "number", "bool") or known.name in quoted else "VARCHAR"


def _stored(known: Field, quoted: Set[str]) -> str:
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
    if name in quoted:
        return (
            f"CASE WHEN starts_with({text}, '\"') THEN CASE WHEN contains({text}, '\\') THEN {name}->>'$'"
            f" ELSE array_slice({text}, 2, -2) END WHEN {name} IS NOT NULL THEN chr(1) END"
        )
    return name


def _stored_or_error(known: Field, quoted: Set[str]) -> str:
    text = f"{known.name}::VARCHAR"
    match known.type:
        case "int":
            return f"CASE WHEN contains({text}, '.') THEN -1 ELSE CAST({text} AS BIGINT) END"
        case "number":
            return f"CAST({text} AS {_STORED['number']})"
    return _stored(known, quoted)


def _certain(known: Field) -> str:
    name, value = known.name, _stored(known, _NUMERIC_TEXTS)
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
    if name in _NUMERIC_TEXTS:
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
        f"ord({name}) IN (ord('['), ord('{{')) OR {name} IN ('true', 'false')"
        f" OR (({name} < '{first}' OR ord({name}) IN (ord('I'), ord('N'), ord('i'), ord('n')))"
        f" AND regexp_full_match({name}, '{_NUMBER}'))"
    )
