"""Small YAML files of the user's: a version and one list of entries, checked field by field."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from gateway_analytics.problems import UsageProblem
from gateway_contracts.suggestion import did_you_mean

SCHEMA_VERSION = 1

# Turns a value into what it means; raises ValueError with what it must be.
Check = Callable[[Any], Any]


def read_entries(
    path: Path,
    option: str,
    name: str,
    fields: Mapping[str, Check],
    required: tuple[str, ...],
    extra: Mapping[str, Check] | None = None,
) -> list[dict[str, Any]]:
    """The entries under `name`, every one with all `fields`; what is missing is None.

    `extra` are further fields beside the list, checked and not returned. Raises UsageProblem, naming the
    option, the entry, the field and the remedy.
    """
    import yaml

    def problem(text: str) -> UsageProblem:
        return UsageProblem(f"{option}: {path}: {text}")

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise problem(f"cannot be read: {error.strerror}. Give a readable file.") from None
    except UnicodeDecodeError:
        raise problem("is not UTF-8 text. Save it as UTF-8.") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1} is" if mark else "is"
        raise problem(f"{where} no valid YAML. Correct it.") from None
    known = ("schema_version", name, *(extra or {}))
    if not isinstance(document, dict):
        raise problem(f"must be a mapping with {' and '.join(known[:2])}.")
    _no_others(document, known, "it", problem)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise problem(f"needs `schema_version: {SCHEMA_VERSION}`.")
    _checked(document, extra or {}, "", problem)
    entries = document.get(name)
    if not isinstance(entries, list):
        raise problem(f"{name} must be a list of entries.")
    result = []
    for number, entry in enumerate(entries, start=1):
        where = f"{name} entry {number}"
        if not isinstance(entry, dict):
            raise problem(f"{where} must be a mapping with {', '.join(required)}.")
        _no_others(entry, tuple(fields), where, problem)
        for field in required:
            if entry.get(field) is None:
                raise problem(f"{where} lacks {field!r}. Add it.")
        result.append(_checked(entry, fields, f"{where}: ", problem))
    return result


def _no_others(
    mapping: Mapping[Any, Any], known: tuple[str, ...], where: str, problem: Callable[[str], UsageProblem]
) -> None:
    for key in mapping:
        if key not in known:
            raise problem(f"{where} has an unknown field {key!r}.{did_you_mean(str(key), known)}")


def _checked(
    mapping: Mapping[str, Any],
    fields: Mapping[str, Check],
    where: str,
    problem: Callable[[str], UsageProblem],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, check in fields.items():
        value = mapping.get(name)
        try:
            values[name] = None if value is None else check(value)
        except ValueError as error:
            raise problem(f"{where}{name} must be {error}, not {value!r}.") from None
    return values


def text(value: Any) -> str:
    """Text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text (numbers go in quotes)")
    return value


def day(value: Any) -> date:
    """A date."""
    try:
        value = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("a date such as 2026-11-01")
    return value


def dollars(value: Any) -> Decimal:
    """A positive amount in quotes, so that it stays exact."""
    try:
        amount = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount <= 0:
        raise ValueError('US dollars in quotes, more than 0, such as "500.00"')
    return amount


def one_of(*values: str) -> Check:
    """One of these words."""

    def check(value: Any) -> Any:
        if value not in values:
            raise ValueError(f"one of {', '.join(values)}")
        return value

    return check
