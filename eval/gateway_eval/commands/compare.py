"""`gateway-eval compare`: what changed between two runs, and whether it may be deployed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.comparison import Comparison, Samples, Thresholds, read_samples
from gateway_eval.comparison import compare as compare_samples
from gateway_eval.comparison_screen import as_screen, regressions
from gateway_eval.envelope import envelope
from gateway_eval.options import format_options
from gateway_eval.output import Output
from gateway_eval.results import SCHEMA_VERSION
from gateway_eval.secrets import Secrets

_MAX_FILE_BYTES = 512 * 1024 * 1024


class _Percent(click.ParamType[float]):
    """A percentage from 0 up, given as 25 or 25%; `none` for what is not judged. 25 becomes 0.25."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, float) or value is None:
            return value
        if value == "none":
            return None
        try:
            percent = float(str(value).removesuffix("%"))
        except ValueError:
            self.fail(f"{value!r} is no percentage, such as 25, and not none", param, ctx)
        if not 0 <= percent <= 1e6:
            self.fail("has to be 0 or more", param, ctx)
        return percent / 100


def _threshold(name: str, default: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        name, type=_Percent(), default=default, show_default=True, metavar="PERCENT", help=text
    )


@click.command()
@click.argument("before", metavar="A.json", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", metavar="B.json", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_threshold("--max-pass-rate-drop", "0", "Percentage points that a case's pass rate may fall by.")
@_threshold("--max-latency-increase", "25", "How much longer calls may take.")
@_threshold("--max-ttft-increase", "25", "How much later the first token of streams may come.")
@_threshold("--max-cost-increase", "10", "How much more calls may cost.")
@_threshold("--max-tokens-increase", "none", "How many more tokens answers may have.")
@click.option(
    "--ignore-ms",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="MS",
    help="Milliseconds that calls and first tokens may take longer, whatever the percentage.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(50, 99.99),
    default=95,
    show_default=True,
    metavar="PERCENT",
    help="Of the intervals of changes.",
)
@click.option("--overall", is_flag=True, help="Judge all cases together; of single cases only pass rates.")
@click.option("--ignore-missing", is_flag=True, help="Allow B to lack cases of A.")
@format_options
@click.pass_context
def compare(
    ctx: click.Context,
    before: Path,
    after: Path,
    max_pass_rate_drop: float | None,
    max_latency_increase: float | None,
    max_ttft_increase: float | None,
    max_cost_increase: float | None,
    max_tokens_increase: float | None,
    ignore_ms: float,
    confidence: float,
    overall: bool,
    ignore_missing: bool,
    output_format: str,
) -> None:
    """Compare two results files of `run`: A before a change, B after it.

    A change of times, tokens or cost is a regression where it is more than is
    allowed and its interval leaves out "no change"; that takes several runs of
    each case (--repeat). A pass rate that falls by more than is allowed always is.

    \b
    gateway-eval run http://10.3.49.202:5000 --repeat 10 -o before.json
    gateway-eval run http://10.3.49.202:5000 --repeat 10 -o after.json
    gateway-eval compare before.json after.json --max-latency-increase 15

    \b
    Exit codes: 0 no regression, 1 a regression, or cases of A that B lacks,
    2 a file that is no results file.
    """
    output = Output(Secrets())
    since = datetime.now(UTC)
    thresholds = Thresholds(
        1.0 if max_pass_rate_drop is None else max_pass_rate_drop,
        max_latency_increase,
        max_ttft_increase,
        max_tokens_increase,
        max_cost_increase,
        ignore_ms,
    )
    comparison = compare_samples(_read(before), _read(after), thresholds, confidence / 100)
    found = regressions(comparison, overall_only=overall)
    warnings = [f"only in {after}: {name}" for name in comparison.only_after]
    missing = [f"only in {before}: {name}" for name in comparison.only_before]
    if comparison.overall is None:
        missing.append("the two files have no case in common")
    if output_format == "json":
        output.document(
            envelope(
                "compare",
                [case.as_dict() for case in comparison.cases],
                _totals(comparison, found, confidence, thresholds),
                since=since,
                until=datetime.now(UTC),
                warnings=[*warnings, *missing],
            )
        )
    else:
        output.text(as_screen(comparison, confidence))
    for warning in [*warnings, *(missing if ignore_missing else [])]:
        output.complain(f"warning: {warning}")
    problems = [*found, *([] if ignore_missing else missing)]
    for problem in problems:
        output.complain(f"regression: {problem}" if problem in found else problem)
    failed = bool(problems) or comparison.overall is None
    ctx.exit(int(ExitCode.CHECK_FAILED if failed else ExitCode.OK))


def _read(path: Path) -> dict[str, Samples]:
    """Return the samples in a results file. Raises click.UsageError, with the remedy."""
    remedy = "give a file that gateway-eval run wrote"
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise click.UsageError(f"{path}: larger than {_MAX_FILE_BYTES // 1024**2} MiB; {remedy}")
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{path}: no JSON; {remedy}") from error
    if not isinstance(document, dict) or document.get("tool") != "gateway-eval" or "cases" not in document:
        raise click.UsageError(f"{path}: no results of a run; {remedy}")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise click.UsageError(
            f"{path}: schema_version {document.get('schema_version')!r}; this program reads {SCHEMA_VERSION}"
        )
    try:
        return read_samples(document)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise click.UsageError(f"{path}: results that are not complete; {remedy}") from error


def _totals(
    comparison: Comparison, found: list[str], confidence: float, thresholds: Thresholds
) -> dict[str, Any]:
    return {
        "overall": comparison.overall.as_dict() if comparison.overall else None,
        "regressions": found,
        "only_before": list(comparison.only_before),
        "only_after": list(comparison.only_after),
        "confidence_percent": confidence,
        "thresholds": vars(thresholds),
    }
