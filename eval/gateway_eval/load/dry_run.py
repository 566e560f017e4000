"""What a load would cost, shown before anything is called."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from gateway_eval.dry_run import FIGURES, figures
from gateway_eval.envelope import envelope
from gateway_eval.estimate import Estimate, estimate_call
from gateway_eval.load.plan import Plan
from gateway_eval.output import Output
from gateway_eval.pricing import Pricing
from gateway_eval.table import render
from gateway_eval.target import Endpoint, Target

# So many prompts stand for all of them.
_SAMPLE = 1000

_COLUMNS = (("", "left"), ("ENDPOINT", "left"), *FIGURES)


def show_estimate(
    output: Output,
    output_format: str,
    plan: Plan,
    bodies: Iterator[bytes],
    output_limit: int | None,
    target: Target,
    endpoint: Endpoint,
    pricing: Pricing,
) -> None:
    """Write what a thousand calls would cost, and the whole load where its number of calls is known."""
    since = datetime.now(UTC)
    sample = estimate_of(bodies, plan.calls, output_limit, endpoint, pricing)
    thousand = sample.scaled(1000)
    whole = None if plan.calls is None else sample.scaled(plan.calls)
    estimates = [("a thousand calls", thousand)] + ([("the load", whole)] if whole else [])
    words = plan.describe() + ": "
    words += whole.words() if whole else "how many calls that makes depends on how fast the host answers"
    if output_format == "json":
        rows: list[dict[str, Any]] = [
            {"host": target.base_url, "endpoint": endpoint.name, "of": name, **each.as_dict()}
            for name, each in estimates
        ]
        totals = whole.as_dict() if whole else {}
        document = envelope("load --dry-run", rows, totals, since=since, until=datetime.now(UTC))
        output.document(document)
        return
    cells = [(name, endpoint.name, *figures(each)) for name, each in estimates]
    output.text(f"{render(_COLUMNS, cells)}\n{words}\n")


def estimate_of(
    bodies: Iterator[bytes],
    calls: int | None,
    output_limit: int | None,
    endpoint: Endpoint,
    pricing: Pricing,
) -> Estimate:
    """Return the estimate of the first of `calls` calls, enough of them to stand for all."""
    first = islice(bodies, max(1, min(calls or _SAMPLE, _SAMPLE)))
    found = [estimate_call(json.loads(body)["messages"], output_limit, endpoint, pricing) for body in first]
    return sum(found[1:], found[0])
