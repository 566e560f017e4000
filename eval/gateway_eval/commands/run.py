"""`gateway-eval run`: put cases to gateways, judge the answers, keep the results."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_contracts.price_book import PriceBookError
from gateway_eval.case_selection import select, selection_options
from gateway_eval.cases import Case
from gateway_eval.dry_run import show_estimate
from gateway_eval.envelope import envelope
from gateway_eval.failure import CallError
from gateway_eval.hosts import find_hosts, host_options
from gateway_eval.http_client import HttpClient
from gateway_eval.inventory import LOAD_BALANCER
from gateway_eval.options import (
    api_key_option,
    format_options,
    header_option,
    max_cost_option,
    pricing_options,
    timeout_option,
)
from gateway_eval.output import Output
from gateway_eval.pricing import Budget, Pricing
from gateway_eval.result_files import SUFFIXES, ResultFile, render
from gateway_eval.results import CaseResult, HostRecord, RunResult, environment
from gateway_eval.runner import Runner, Settings
from gateway_eval.schedule import Schedule, plan
from gateway_eval.secrets import Secrets
from gateway_eval.summary import as_table, rows, run_exit_code
from gateway_eval.target import Api, Endpoint, Target, as_provider, discover

_AT_ONCE = 64


def _result_paths(_ctx: click.Context, _param: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        if path.suffix.lower() not in SUFFIXES and path.suffix:
            raise click.BadParameter(f"{path}: the suffix tells the form; known are {', '.join(SUFFIXES)}")
    return paths or (Path("gateway_results.json"),)


@click.command()
@host_options
@click.option(
    "--endpoint",
    metavar="NAME",
    help="Endpoint or model to call. [default: chat if listed, else the first for chat]",
)
@selection_options
@click.option(
    "--repeat",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Run all cases so often.",
)
@click.option(
    "-j",
    "at_once",
    type=click.IntRange(1, _AT_ONCE),
    default=1,
    show_default=True,
    metavar="N",
    help="So many cases at once, over all hosts.",
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
@max_cost_option
@click.option("--dry-run", is_flag=True, help="Show what would be called and cost; call no model.")
@pricing_options
@click.option(
    "--api",
    type=click.Choice([api.value for api in Api]),
    help="How to call the hosts. [default: found out by asking]",
)
@click.option(
    "-o",
    "--results",
    "result_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    callback=_result_paths,
    metavar="FILE",
    help="Where to keep everything that was seen; repeatable. .json, .xml (JUnit) or .html by suffix."
    " [default: gateway_results.json]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@api_key_option
@header_option
@format_options
@click.pass_context
def run(
    ctx: click.Context,
    urls: tuple[str, ...],
    more_urls: tuple[str, ...],
    inventories: tuple[Path, ...],
    group: str | None,
    endpoint: str | None,
    suite: str | None,
    cases_file: Path | None,
    name_filter: str | None,
    tags: tuple[str, ...],
    repeat: int,
    at_once: int,
    timeout_s: float,
    stream: bool,
    retries: int,
    fail_fast: bool,
    max_cost: Decimal | None,
    dry_run: bool,
    prices: Path | None,
    provider: str | None,
    api: str | None,
    result_paths: tuple[Path, ...],
    quiet: bool,
    api_key: str | None,
    headers: dict[str, str],
    output_format: str,
) -> None:
    """Put cases to gateways and judge the answers.

    Without --cases this is the smoke suite: the host's health, the question
    "What is AI?", a conversation that needs memory, and a stream. It makes four calls.

    \b
    gateway-eval run http://10.3.49.202:5000
    gateway-eval run http://10.3.49.202:5000 --cases cases.yml -k billing --retry 2
    gateway-eval run http://10.3.49.202:5000 --suite full --dry-run
    gateway-eval run -i inventories/production --group gateway -j 8
    gateway-eval run https://gateway.example --api-key-env GATEWAY_KEY \\
        --max-cost 0.50 -o gateway_results.json -o junit.xml -o report.html

    \b
    Exit codes, of several the first in this order: 130 interrupted,
    3 unreachable, 4 authentication, 5 quota, 6 rate limited, 1 a check
    or any other call failed or the budget is spent, 0 every case passed.
    2 is wrong usage or an invalid file; then nothing was called.
    """
    output = Output(Secrets(api_key), quiet=quiet)
    found = find_hosts(urls, more_urls, inventories, group, default_group=LOAD_BALANCER)
    selection = select(suite, cases_file, name_filter, tags, has_key=api_key is not None)
    try:
        pricing = Pricing(prices)
    except PriceBookError as error:
        raise click.UsageError(str(error)) from error
    for warning in found.warnings:
        output.complain(f"warning: {warning}")
    for name in selection.left_out:
        output.narrate(f"left out: {name}, which needs --api-key-env")
    records = [HostRecord(host.url, host.name) for host in found.hosts]
    clients = [
        HttpClient(host.url, api_key=api_key, timeout_s=timeout_s, headers=headers) for host in found.hosts
    ]
    if dry_run:
        targets = _discover(clients, records, Api(api) if api else None, output)
        _choose_endpoints(records, targets, endpoint, provider, selection.cases)
        show_estimate(output, output_format, records, targets, selection.cases, repeat, pricing, provider)
        ctx.exit(int(run_exit_code(_unreached(records), Budget())))
    result = RunResult(
        records,
        datetime.now(UTC),
        {
            **environment(),
            "cases": selection.source,
            "timeout_s": timeout_s,
            "retries": retries,
            "at_once": at_once,
        },
    )
    budget = Budget(max_cost)
    schedule = Schedule(
        at_once, fail_fast=fail_fast, told=lambda case, done: _tell(output, result, case, done)
    )
    settings = Settings(pricing, budget, output.narrate, schedule.pause, provider, stream, retries)
    files = _prepare(result_paths)
    bug: Exception | None = None
    try:
        try:
            targets = _discover(clients, records, Api(api) if api else None, output)
            _choose_endpoints(records, targets, endpoint, provider, selection.cases)
            for record, target in zip(records, targets, strict=True):
                if target is not None:
                    output.narrate(_introduction(record, target))
            runners = [
                None if target is None else Runner(settings, client, target, record)
                for record, client, target in zip(records, clients, targets, strict=True)
            ]
            jobs = plan(selection.cases, repeat, list(zip(records, runners, strict=True)))
            try:
                schedule.run(jobs, result)
            except Exception as error:  # what was paid for is kept all the same
                bug = error
        except KeyboardInterrupt:
            result.planned, result.stopped = len(selection.cases) * repeat * len(records), "interrupted"
        result.finished_at = datetime.now(UTC)
        result.environment |= {
            "api": records[0].api,
            "endpoint": records[0].endpoint.name if records[0].endpoint else None,
        }
        unwritten = [file for file in files if not _write(file, result, output)]
    finally:
        for file in files:
            file.discard()
    if bug is not None:
        raise bug
    _show(result, output, output_format, found.warnings)
    if budget.exceeded:
        output.complain(f"more than --max-cost was spent: ${budget.spent}")
    code = run_exit_code(result, budget)
    ctx.exit(int(code if not unwritten or code is not ExitCode.OK else ExitCode.CHECK_FAILED))


def _prepare(paths: Sequence[Path]) -> list[ResultFile]:
    """Return the files, each proven to be writable. Raises click.UsageError, leaving nothing."""
    files: list[ResultFile] = []
    try:
        for path in paths:
            files.append(ResultFile(path))
    except ValueError as error:
        for file in files:
            file.discard()
        raise click.UsageError(str(error)) from error
    return files


def _discover(
    clients: Sequence[HttpClient], records: Sequence[HostRecord], api: Api | None, output: Output
) -> list[Target | None]:
    """Ask every host what it offers; None, with the reason in its record, for one that cannot be used."""

    def ask(client: HttpClient, record: HostRecord) -> Target | None:
        try:
            target = discover(client, api)
        except CallError as error:
            record.failure = error.failure
            return None
        record.api = target.api.value
        return target

    with ThreadPoolExecutor(min(_AT_ONCE, len(clients))) as pool:
        targets = list(pool.map(ask, clients, records))
    for record in records:
        if record.failure is not None:
            output.complain(f"{record.name}: {record.failure.failure_class.value}: {record.failure.message}")
            output.complain(f"    {record.failure.advice}")
    return targets


def _choose_endpoints(
    records: Sequence[HostRecord],
    targets: Sequence[Target | None],
    name: str | None,
    provider: str | None,
    cases: Sequence[Case],
) -> None:
    """Note the endpoint of the cases that name none, where there are any. Raises click.UsageError."""
    if name is None and not any(case.needs_endpoint for case in cases):
        return
    for record, target in zip(records, targets, strict=True):
        if target is None:
            continue
        try:
            chosen = target.choose(name)
        except ValueError as error:
            raise click.UsageError(f"{record.name}: {error}") from error
        record.endpoint = as_provider(chosen, provider)


def _introduction(record: HostRecord, target: Target) -> str:
    words = f"{record.name}: {target.api.value} API, {len(target.endpoints)} listed"
    endpoint: Endpoint | None = record.endpoint
    if endpoint is None:
        return words
    model = "/".join(part for part in (endpoint.provider, endpoint.model) if part)
    return f"{words}; calling {endpoint.name}" + (f" ({model})" if model and model != endpoint.name else "")


def _tell(output: Output, result: RunResult, case: CaseResult, done: int) -> None:
    where = f" on {case.host}" if len(result.hosts) > 1 else ""
    output.narrate(
        f"[{done}/{result.planned}] {case.name}{where}: {case.status} in {case.duration_ms:.0f} ms"
    )
    if case.error is not None and not any(case.error is host.failure for host in result.hosts):
        output.narrate(f"    {case.error.failure_class.value}: {case.error.message}")
        output.narrate(f"    {case.error.advice}")
    for check in case.failed_checks:
        output.narrate(f"    {check.name}: {check.detail}")


def _unreached(records: list[HostRecord]) -> RunResult:
    """Return a run that failed on every host that did not answer."""
    failed = [CaseResult(record.name, error=record.failure) for record in records if record.failure]
    return RunResult(records, datetime.now(UTC), {}, cases=failed)


def _write(file: ResultFile, result: RunResult, output: Output) -> bool:
    """Write the results; where that fails after all, what was seen is still shown."""
    try:
        document = output.secrets.redact_all(result.as_dict())
        file.write(render(document, file.path.suffix.lower()))
    except OSError as error:
        output.complain(f"{file.path} could not be written: {error.strerror}; make room and run again")
        return False
    output.narrate(f"results: {file.path}")
    return True


def _show(result: RunResult, output: Output, output_format: str, warnings: Sequence[str]) -> None:
    if output_format == "json":
        until = result.finished_at or result.started_at
        output.document(
            envelope(
                "run",
                rows(result),
                result.summary(),
                since=result.started_at,
                until=until,
                warnings=list(warnings),
            )
        )
    else:
        output.text(as_table(result))
