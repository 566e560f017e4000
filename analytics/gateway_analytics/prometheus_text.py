"""Budgets as metrics, for the textfile collector of Prometheus' node exporter.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway_contracts.price_book import format_usd

_PREFIX = "gateway_budget_"
_METRICS = {
    "limit_usd": "What may be spent in the budget's period, in US dollars.",
    "spent_usd": "What has been spent in the period so far, in US dollars.",
    "projected_usd": "What the whole period costs if the rest goes on like the part that has passed.",
    "unpriced_requests": "Requests of the period that may have cost something but cannot be priced.",
}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def budget_metrics(rows: Sequence[Mapping[str, Any]]) -> str:
    """The standings of budgets, each with its name and period as labels; what is unknown is left out."""
    lines = []
    for name, text in _METRICS.items():
        lines += [f"# HELP {_PREFIX}{name} {text}", f"# TYPE {_PREFIX}{name} gauge"]
        for row in rows:
            if row[name] is not None:
                value = row[name] if isinstance(row[name], int) else format_usd(row[name])
                budget = str(row["budget"]).translate(_ESCAPES)
                lines.append(f'{_PREFIX}{name}{{budget="{budget}",period="{row["period"]}"}} {value}')
    return "".join(f"{line}\n" for line in lines)
