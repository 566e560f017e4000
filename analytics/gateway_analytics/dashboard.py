"""The data of the HTML report, and the one file that holds it with everything that draws it."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from gateway_analytics.costing import Costs, costs
from gateway_analytics.grouping import DIMENSIONS
from gateway_analytics.records import Records
from gateway_analytics.sql_text import sql
from gateway_analytics.text import visible
from gateway_contracts.price_book import PriceBook, format_usd

# What a year of days may have of each without a page that opens slowly; the rest is "other".
_MODELS, _KEYS = 8, 12
_NAME = 80
_OTHER = "other"
_STEPS = {"day": DIMENSIONS["day"], "hour": "strftime(received_at, '%Y-%m-%dT%H:00%z')"}


def collect(records: Records, book: PriceBook) -> tuple[dict[str, Any], Costs]:
    """Everything that the page shows of the calls; budgets and data quality are the caller's to add.

    `cube` has a row per step, model and key: their numbers, calls, failed calls, input and output tokens,
    cost in millionths of a dollar (rounded), and attempts without a price.
    """
    days = records.rows("SELECT count(DISTINCT clock(received_at, '%Y-%m-%d')) AS n FROM calls")[0]["n"]
    step = _STEPS["day" if days > 2 else "hour"]
    priced = costs(records, book, ("model", "api_key"), extra={"step": step})
    groups = {
        (key[2], _shown(key[0], "(no model)"), _shown(key[1], "(no key)")): cost
        for key, cost in priced.groups.items()
    }
    models = _largest([(key[1], cost.cost_usd, cost.requests) for key, cost in groups.items()], _MODELS)
    keys = _largest([(key[2], cost.cost_usd, cost.requests) for key, cost in groups.items()], _KEYS)
    latency = {row["step"]: row for row in records.rows(sql("report_latency", step=step))}
    steps = sorted({key[0] for key in groups})
    cube: dict[tuple[int, int, int], list[int]] = {}
    for (when, model, key), cost in groups.items():
        place = (
            steps.index(when),
            models.index(model if model in models else _OTHER),
            keys.index(key if key in keys else _OTHER),
        )
        row = cube.setdefault(place, [0] * 6)
        for number, value in enumerate(
            (
                cost.requests,
                cost.failed_requests,
                cost.input_tokens or 0,
                cost.output_tokens or 0,
                int(((cost.cost_usd or Decimal(0)) * 10**6).to_integral_value()),
                cost.unpriced_requests,
            )
        ):
            row[number] += value
    totals = priced.total.as_row()
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "range": records.range.as_json(),
        "steps": steps,
        "models": models,
        "keys": keys,
        "cube": [[*place, *row] for place, row in sorted(cube.items())],
        "latency": [_percentiles(latency.get(when)) for when in steps],
        "totals": {"cost_usd": None if totals["cost_usd"] is None else format_usd(totals["cost_usd"])},
        "warnings": [visible(warning) for warning in (*records.warnings, *priced.warnings)],
        "budgets": None,
        "quality": [],
    }, priced


def _shown(name: str | None, missing: str) -> str:
    text = missing if name is None else visible(name)
    return text if len(text) <= _NAME else text[: _NAME - 1] + "…"


def _largest(found: Sequence[tuple[str, Decimal | None, int]], most: int) -> list[str]:
    """The dearest names, and where there are more of them the one that stands for the rest."""
    spent: dict[str, tuple[Decimal, int]] = {}
    for name, cost, requests in found:
        before = spent.get(name, (Decimal(0), 0))
        spent[name] = (before[0] + (cost or 0), before[1] + requests)
    ordered = sorted(spent, key=lambda name: (-spent[name][0], -spent[name][1], name))
    return ordered if len(ordered) <= most else [*ordered[: most - 1], _OTHER]


def _percentiles(row: dict[str, Any] | None) -> dict[str, float] | None:
    if row is None or row["quantiles"] is None:
        return None
    values = (round(float(value), 1) for value in row["quantiles"])
    return dict(zip(("p50", "p90", "p99"), values, strict=True))


def as_html(data: dict[str, Any]) -> str:
    """One file that needs no network: data, style, script, and a policy that lets nothing else in."""
    page = files("gateway_analytics") / "page"
    template, style, script = (
        (page / name).read_text(encoding="utf-8") for name in ("report.html", "report.css", "report.js")
    )
    blanks = {
        "style_hash": _digest(style),
        "script_hash": _digest(script),
        "style": style,
        "script": script,
        "data": _embedded(data),
    }
    before, *parts = template.split("{")
    # Each blank once, left to right: what stands in the data is never looked at again.
    for part in parts:
        blank, brace, rest = part.partition("}")
        before += blanks[blank] + rest if brace and blank in blanks else "{" + part
    return before


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(data: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for the end of its script, or for the start of a comment in it."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
