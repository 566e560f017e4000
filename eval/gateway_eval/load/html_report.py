"""A load's result as one HTML page that needs nothing else: no script, no font, no network."""

from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from gateway_eval.load.charts import Chart, Line
from gateway_eval.load.distribution import Distribution
from gateway_eval.load.result import LoadResult

_STATISTICS = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean", "count")
# Percentiles through which their charts are drawn. They lie at equal distances, so that slow calls show.
_PERCENTS = (0.01, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.9, 99.99)


def as_html(result: LoadResult, document: dict[str, Any]) -> str:
    """Return the page. `document` is the results file's content, free of keys; all of it is shown as text."""
    template = resources.files("gateway_eval").joinpath("templates", "load.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = _number
    return environment.from_string(template).render(
        load=document,
        plan=result.measurement.plan.describe(),
        statistics=_STATISTICS,
        charts=[Markup(chart.svg()) for chart in _charts(result)],  # noqa: S704 (it escapes its texts)
    )


def _charts(result: LoadResult) -> list[Chart]:
    seconds = result.measurement.timeline
    step = max(1, len(seconds) // 8)
    ticks = [(float(number), str(number)) for number in range(0, len(seconds), step)]
    latencies = [Distribution(second.latency_ms) for second in seconds]

    def over_time(name: str, values: list[Any]) -> Line:
        return Line(name, [(float(number), value) for number, value in enumerate(values)])

    charts = [
        Chart(
            "Calls",
            "per second",
            [
                over_time("answered", [second.succeeded for second in seconds]),
                over_time("failed", [second.failed for second in seconds]),
                over_time("begun", [second.begun for second in seconds]),
            ],
            "seconds from the start",
            ticks,
        ),
        Chart(
            "Latency over time",
            "milliseconds",
            [over_time(f"p{percent}", [one.quantile(percent) for one in latencies]) for percent in (50, 99)],
            "seconds from the start",
            ticks,
        ),
    ]
    labels = [(float(place), f"{percent:g}") for place, percent in enumerate(_PERCENTS)]
    for title, names in (
        ("Latency by percentile", ("latency_ms", "ttft_ms")),
        ("Time between tokens by percentile", ("inter_token_ms", "inter_chunk_ms")),
    ):
        lines = [
            Line(name, [(float(place), one.quantile(percent)) for place, percent in enumerate(_PERCENTS)])
            for name in names
            if len(one := result.distributions[name])
        ]
        if lines:
            charts.append(Chart(title, "milliseconds", lines, "percentile", labels))
    return charts


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"
