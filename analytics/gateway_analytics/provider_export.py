"""A provider's own account of what was used, as its dashboard or its API exports it.

OpenAI: usage and costs of the organization API (pages of buckets, https://platform.openai.com/docs/api-
reference/usage) and CSV exports of the dashboard. Anthropic: usage and cost reports of the admin API, which
have the same shape (https://docs.anthropic.com/en/api/usage-cost-api). Any other CSV works where its
columns have one of the names below.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Any

from gateway_analytics.problems import UsageProblem
from gateway_contracts.price_book import EXACT

_DAYS = ("date", "day", "start_time", "starting_at", "start_time_iso", "usage_date", "usage_date_utc")
_MODELS = ("model", "model_version", "snapshot_id", "line_item", "description")
_COSTS = ("cost_usd", "cost", "amount", "amount_value", "cost (usd)", "spend")
_INPUTS = ("input_tokens", "n_context_tokens_total", "prompt_tokens", "uncached_input_tokens")
# Anthropic counts these beside its uncached input; OpenAI's input has its cached tokens in it.
_MORE_INPUTS = ("cache_read_input_tokens", "cache_creation_input_tokens")
_OUTPUTS = ("output_tokens", "n_generated_tokens_total", "completion_tokens")
_REQUESTS = ("num_model_requests", "n_requests", "requests", "num_requests")


@dataclass
class Used:
    """What a provider says of one model on one UTC day; None where it does not say."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None

    def add(self, other: "Used") -> None:
        """Add another line of the same day and model."""
        for name in ("requests", "input_tokens", "output_tokens", "cost_usd"):
            value = getattr(other, name)
            if value is not None:
                with localcontext(EXACT):
                    setattr(self, name, value + (getattr(self, name) or 0))


def read_export(path: Path) -> dict[tuple[str, str], Used]:
    """Usage by UTC day and model. Raises UsageProblem."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}. Give a readable file.") from None
    except UnicodeDecodeError:
        raise UsageProblem(f"{path} is not UTF-8 text. Export it again as CSV or JSON.") from None
    found: dict[tuple[str, str], Used] = {}
    try:
        lines = (
            _json_lines(json.loads(text, parse_float=Decimal))
            if text.lstrip().startswith(("[", "{"))
            else _csv_lines(text)
        )
        for number, line in enumerate(lines, start=1):
            key, used = _used(line, f"{path}, entry {number}")
            found.setdefault(key, Used()).add(used)
    except (ValueError, AttributeError, TypeError):
        raise UsageProblem(f"{path} is no CSV or JSON export that is known here.") from None
    if not found:
        raise UsageProblem(f"{path} has no usage. Export the days that the range is about.")
    return found


def _json_lines(document: Any) -> Iterator[dict[str, Any]]:
    """The results of every bucket, each with its bucket's time."""
    for bucket in document.get("data", []) if isinstance(document, dict) else document:
        results = bucket.get("results", bucket.get("result"))
        if results is None:
            yield _lowered(bucket)
            continue
        for result in results:
            yield _lowered(bucket) | _lowered(result)


def _csv_lines(text: str) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(io.StringIO(text)):
        yield _lowered({name: value for name, value in row.items() if name})


def _lowered(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).strip().lower(): value for name, value in mapping.items()}


def _used(line: Mapping[str, Any], where: str) -> tuple[tuple[str, str], Used]:
    day = _first(line, _DAYS)
    if day is None:
        raise UsageProblem(f"{where} has no day. Its columns must have one of: {', '.join(_DAYS)}.")
    amount = _first(line, _COSTS)
    if isinstance(amount, Mapping):
        if str(amount.get("currency", "usd")).lower() != "usd":
            raise UsageProblem(f"{where} is in {amount.get('currency')}. Export it in USD.")
        amount = amount.get("value")
    model = str(_first(line, _MODELS) or "")
    counts = (_count(line.get(name), where) for name in (*_INPUTS, *_MORE_INPUTS))
    inputs = [count for count in counts if count is not None]
    return (_day(day, where), _bare(model)), Used(
        _count(_first(line, _REQUESTS), where),
        sum(inputs) if inputs else None,
        _count(_first(line, _OUTPUTS), where),
        _dollars(amount, where),
    )


def _bare(model: str) -> str:
    # A line of a bill names what was counted after the model: "gpt-4o-2024-08-06, input".
    return model.split(",")[0].strip()


def _first(line: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((line[name] for name in names if line.get(name) not in (None, "")), None)


def _day(value: Any, where: str) -> str:
    text = str(value).strip()
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC).date().isoformat()
        if len(text) == 10:
            return date.fromisoformat(text).isoformat()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date().isoformat()
    except (ValueError, OverflowError, OSError):
        raise UsageProblem(f"{where}: {text!r} is no day such as 2026-11-01.") from None


def _count(value: Any, where: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        count = Decimal(str(value).replace(",", ""))
        if count != count.to_integral_value() or count < 0:
            raise InvalidOperation
        return int(count)
    except (InvalidOperation, OverflowError, ValueError):
        raise UsageProblem(f"{where}: {value!r} is no number of tokens or requests.") from None


def _dollars(value: Any, where: str) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value).replace(",", "").lstrip("$"))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise UsageProblem(f"{where}: {value!r} is no amount of dollars.")
    return amount
