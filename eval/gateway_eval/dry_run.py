"""What a run would call and cost, shown before anything is called."""

from collections.abc import Sequence
from datetime import UTC, datetime

from gateway_eval.cases import Case
from gateway_eval.envelope import envelope
from gateway_eval.estimate import Estimate, estimate, total
from gateway_eval.output import Output
from gateway_eval.pricing import Pricing
from gateway_eval.results import HostRecord, money
from gateway_eval.table import render
from gateway_eval.target import Endpoint, Target, as_provider

FIGURES = (
    ("CALLS", "right"),
    ("TOKENS IN", "right"),
    ("TOKENS OUT", "right"),
    ("USD AT LEAST", "right"),
    ("USD AT MOST", "right"),
)
"""Columns of an estimate, as `figures` fills them."""

_COLUMNS = (("HOST", "left"), ("CASE", "left"), ("ENDPOINT", "left"), *FIGURES)


def figures(estimate: Estimate) -> tuple[int | str | None, ...]:
    """Return what stands in the columns of an estimate."""
    return (
        estimate.calls,
        estimate.input_tokens,
        estimate.output_tokens_at_most,
        money(estimate.cost_at_least),
        money(estimate.cost_at_most),
    )


def show_estimate(
    output: Output,
    output_format: str,
    records: Sequence[HostRecord],
    targets: Sequence[Target | None],
    cases: Sequence[Case],
    repeat: int,
    pricing: Pricing,
    provider: str | None,
) -> None:
    """Write a row for each host and case, and the total over all repetitions."""
    since = datetime.now(UTC)
    found: list[tuple[HostRecord, Case, Endpoint | None, Estimate]] = []
    for record, target in zip(records, targets, strict=True):
        for case in cases if target is not None else ():
            endpoint = _endpoint(case, record, target, provider)
            found.append((record, case, endpoint, estimate(case, endpoint, pricing)))
    whole = total([each for *_, each in found for _ in range(repeat)])
    if output_format == "json":
        rows = [
            {
                "host": record.name,
                "name": case.name,
                "endpoint": endpoint.name if endpoint else None,
                **each.as_dict(),
            }
            for record, case, endpoint, each in found
        ]
        totals = {"repeat": repeat, **whole.as_dict()}
        output.document(envelope("run --dry-run", rows, totals, since=since, until=datetime.now(UTC)))
        return
    cells = [
        (record.name, case.name, endpoint.name if endpoint else None, *figures(each))
        for record, case, endpoint, each in found
    ]
    often = f"{repeat} times: " if repeat > 1 else ""
    output.text(f"{render(_COLUMNS, cells)}\n{often}{whole.words()}\n")


def _endpoint(case: Case, record: HostRecord, target: Target | None, provider: str | None) -> Endpoint | None:
    if case.endpoint is None:
        return record.endpoint if case.needs_endpoint else None
    try:
        return as_provider(target.endpoint(case.endpoint), provider) if target else None
    except ValueError:
        return None  # the run itself says what is wrong with it
