"""A load's result for people, in the terminal."""

from gateway_eval.load.result import LoadResult
from gateway_eval.table import render


def as_text(result: LoadResult) -> str:
    """Return what was seen: counts, percentiles, errors and objectives."""
    totals = result.totals
    rate = "-" if totals["error_rate"] is None else f"{totals['error_rate']:.2%}"
    offered, answered, tokens_in, tokens_out = (
        _number(totals[f"{name}_per_s"]) for name in ("offered", "requests", "input_tokens", "output_tokens")
    )
    parts = [
        f"{totals['requests']} requests in {totals['duration_s']:g} s, "
        f"{totals['failed_requests']} failed ({rate})\n"
        f"requests/s: {offered} offered, {answered} answered\n"
        f"tokens/s: {tokens_in} in, {tokens_out} out\n"
        f"cost: {_cost(totals['cost_usd'], totals['unpriced_requests'])}\n"
    ]
    if rows := result.rows():
        names = ("quantity", "p50", "p90", "p99", "max", "mean", "count")
        columns = [(name, "left" if name == "quantity" else "right") for name in names]
        parts.append(render(columns, [[_cell(row[name]) for name in names] for row in rows]))
    if totals["errors"]:
        parts.append(
            render(
                [("error", "left"), ("count", "right"), ("message", "left")],
                [
                    [name if first else "", count, message]
                    for name, errors in totals["errors"].items()
                    for first, (message, count) in _firsts(errors["messages"])
                ],
            )
        )
    if result.verdicts:
        parts.append(
            render(
                [("objective", "left"), ("seen", "right"), ("", "left")],
                [
                    [verdict.slo.text, _cell(verdict.actual), "passed" if verdict.passed else "FAILED"]
                    for verdict in result.verdicts
                ],
            )
        )
    return "\n".join(parts)


def _cost(usd: str | None, unpriced: int) -> str:
    known = f"${usd}" if usd is not None else "unknown" if unpriced else "nothing"
    return f"{known}, ramp and warm-up included" + (f"; {unpriced} calls without a price" if unpriced else "")


def _firsts(messages: dict[str, int]) -> list[tuple[bool, tuple[str, int]]]:
    return [(number == 0, item) for number, item in enumerate(messages.items())]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value
