"""`gateway-eval run`: put cases to a gateway, judge the answers, keep the results."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_contracts.price_book import PriceBookError
from gateway_eval.cases import Case, CasesError, load_cases, load_suite, suite_names
from gateway_eval.envelope import envelope
from gateway_eval.failure import CallError
from gateway_eval.http_client import HttpClient
from gateway_eval.options import BaseURL, api_key_option, format_options, timeout_option
from gateway_eval.output import Output
from gateway_eval.pricing import Budget, Pricing
from gateway_eval.results import CaseResult, ResultsFile, RunResult, environment
from gateway_eval.runner import Runner
from gateway_eval.secrets import Secrets
from gateway_eval.summary import as_table, rows, run_exit_code
from gateway_eval.target import Api, Endpoint, Target, as_provider, discover


class _Dollars(click.ParamType[Decimal]):
    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            amount = Decimal(str(value).removeprefix("$"))
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount in US dollars, such as 0.50", param, ctx)
        if not amount.is_finite() or amount <= 0:
            self.fail("has to be more than 0", param, ctx)
        return amount


@click.command()
@click.argument("url", type=BaseURL())
@click.option(
    "--endpoint",
    metavar="NAME",
    help="Endpoint or model to call. [default: chat if listed, else the first for chat]",
)
@click.option(
    "--suite", type=click.Choice(suite_names()), help="Cases that ship with the program. [default: smoke]"
)
@click.option(
    "--cases",
    "cases_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own cases, in JSON.",
)
@click.option("-k", "name_filter", metavar="TEXT", help="Only cases whose name contains this.")
@click.option(
    "--repeat",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Run all cases so often.",
)
@timeout_option(60)
@click.option("--stream", is_flag=True, help="Ask for every answer as a stream, whatever the case says.")
@click.option(
    "--retry",
    "retries",
    type=click.IntRange(0, 10),
    default=0,
    show_default=True,
    metavar="N",
    help="Try a call again that failed for a passing reason. Each attempt is kept, and may be billed.",
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first case that does not pass.")
@click.option(
    "--max-cost", type=_Dollars(), metavar="USD", help="Make no further call when so much is spent."
)
@click.option(
    "--prices",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Price book to use instead of the shipped one.",
)
@click.option(
    "--provider", metavar="NAME", help="Whose prices apply where the host does not say who serves a model."
)
@click.option(
    "--api",
    type=click.Choice([api.value for api in Api]),
    help="How to call the host. [default: found out by asking]",
)
@click.option(
    "--results",
    "results_path",
    type=click.Path(path_type=Path),
    default="gateway_results.json",
    show_default=True,
    metavar="FILE",
    help="Where to keep everything that was seen, in JSON.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@api_key_option
@format_options
@click.pass_context
def run(
    ctx: click.Context,
    url: str,
    endpoint: str | None,
    suite: str | None,
    cases_file: Path | None,
    name_filter: str | None,
    repeat: int,
    timeout_s: float,
    stream: bool,
    retries: int,
    fail_fast: bool,
    max_cost: Decimal | None,
    prices: Path | None,
    provider: str | None,
    api: str | None,
    results_path: Path,
    quiet: bool,
    api_key: str | None,
    output_format: str,
) -> None:
    """Put cases to a gateway and judge the answers.

    Without --cases this is the smoke suite: the host's health, the question
    "What is AI?", a conversation that needs memory, and a stream. It makes four calls.

    \b
    gateway-eval run http://10.3.49.202:5000
    gateway-eval run http://10.3.49.202:5000 --cases cases.json -k billing --retry 2
    gateway-eval run https://gateway.example --api-key-env GATEWAY_KEY --max-cost 0.50

    \b
    Exit codes, of several the first in this order: 130 interrupted,
    3 unreachable, 4 authentication, 5 quota, 6 rate limited, 1 a check
    or any other call failed or the budget is spent, 0 every case passed.
    2 is wrong usage or an invalid file; then nothing was called.
    """
    output = Output(Secrets(api_key), quiet=quiet)
    cases, source = _cases(suite, cases_file, name_filter)
    try:
        pricing = Pricing(prices)
    except PriceBookError as error:
        raise click.UsageError(str(error)) from error
    try:
        file = ResultsFile(results_path)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        budget = Budget(max_cost)
        result = RunResult(
            url,
            datetime.now(UTC),
            {**environment(), "cases": source, "timeout_s": timeout_s, "retries": retries},
        )
        client = HttpClient(url, api_key=api_key, timeout_s=timeout_s)
        try:
            target = discover(client, Api(api) if api else None)
            chosen = _endpoint(target, endpoint, provider, cases)
            result.environment |= {"api": target.api.value, "endpoint": chosen.name if chosen else None}
            output.narrate(_introduction(target, chosen))
            runner = Runner(
                client=client,
                target=target,
                default_endpoint=chosen,
                pricing=pricing,
                budget=budget,
                narrate=output.narrate,
                provider=provider,
                stream_all=stream,
                retries=retries,
                fail_fast=fail_fast,
            )
            runner.run(cases, repeat, result)
        except CallError as error:
            _none_could_run(result, cases, error, output)
        except KeyboardInterrupt:
            result.planned, result.stopped = len(cases) * repeat, "interrupted"
        result.finished_at = datetime.now(UTC)
        written = _write(file, result, output)
    finally:
        file.discard()
    _show(result, output, output_format)
    if budget.exceeded:
        output.complain(f"more than --max-cost was spent: ${budget.spent}")
    code = run_exit_code(result, budget)
    ctx.exit(int(code if written or code is not ExitCode.OK else ExitCode.CHECK_FAILED))


def _cases(suite: str | None, path: Path | None, name_filter: str | None) -> tuple[list[Case], str]:
    """Return the cases to run, and where they are from."""
    if suite and path:
        raise click.UsageError("--suite and --cases are two sources; give one of them")
    try:
        cases = load_cases(path) if path else load_suite(suite or "smoke")
    except CasesError as error:
        raise click.UsageError(str(error)) from error
    source = str(path) if path else f"suite {suite or 'smoke'}"
    if name_filter:
        chosen = [case for case in cases if name_filter.casefold() in case.name.casefold()]
        if not chosen:
            raise click.UsageError(
                f"no case's name contains {name_filter!r}; there is: {', '.join(case.name for case in cases)}"
            )
        cases = chosen
    return cases, source


def _endpoint(target: Target, name: str | None, provider: str | None, cases: list[Case]) -> Endpoint | None:
    """Return the endpoint of the cases that name none; None where there is no such case."""
    if name is None and all(case.health or case.endpoint for case in cases):
        return None
    try:
        chosen = target.endpoint(name) if name is not None else target.default_endpoint()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return as_provider(chosen, provider)


def _introduction(target: Target, endpoint: Endpoint | None) -> str:
    words = f"{target.base_url}: {target.api.value} API, {len(target.endpoints)} listed"
    if endpoint is None:
        return words
    model = "/".join(part for part in (endpoint.provider, endpoint.model) if part)
    return f"{words}; calling {endpoint.name}" + (f" ({model})" if model and model != endpoint.name else "")


def _none_could_run(result: RunResult, cases: list[Case], error: CallError, output: Output) -> None:
    """Record that the host did not get as far as a single case."""
    result.planned = len(cases)
    result.cases = [CaseResult(case.name, error=error.failure) for case in cases]
    output.complain(f"{error.failure.failure_class.value}: {error.failure.message}")
    output.complain(f"    {error.failure.advice}")


def _write(file: ResultsFile, result: RunResult, output: Output) -> bool:
    """Write the results; where that fails after all, what was seen is still shown."""
    try:
        file.write(output.secrets.redact_all(result.as_dict()))
    except OSError as error:
        output.complain(f"{file.path} could not be written: {error.strerror}; make room and run again")
        return False
    output.narrate(f"results: {file.path}")
    return True


def _show(result: RunResult, output: Output, output_format: str) -> None:
    if output_format == "json":
        until = result.finished_at or result.started_at
        output.document(envelope("run", rows(result), result.summary(), since=result.started_at, until=until))
    else:
        output.text(as_table(result))
