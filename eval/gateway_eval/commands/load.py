"""`gateway-eval load`: put load on a gateway and measure what its callers would see."""

import json
import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_contracts.price_book import PriceBookError
from gateway_eval.envelope import envelope
from gateway_eval.failure import CallError, exit_code
from gateway_eval.http_client import HttpClient
from gateway_eval.load.calls import Calls
from gateway_eval.load.dry_run import show_estimate
from gateway_eval.load.plan import Plan, parse_duration
from gateway_eval.load.result import LoadResult
from gateway_eval.load.slo import STREAMED, Slo, parse
from gateway_eval.load.spending import Spending
from gateway_eval.options import (
    BaseURL,
    api_key_option,
    format_options,
    header_option,
    max_cost_option,
    pricing_options,
    timeout_option,
)
from gateway_eval.output import Output
from gateway_eval.pricing import Budget, Pricing
from gateway_eval.result_files import ResultFile
from gateway_eval.results import environment
from gateway_eval.secrets import Secrets
from gateway_eval.target import Api, Endpoint, Target, as_provider, discover

# Sockets and files that the program needs besides its connections.
_OTHER_FILES = 64


class _Duration(click.ParamType[float]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Objective(click.ParamType[Slo]):
    name = "objective"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Slo:
        try:
            return value if isinstance(value, Slo) else parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("url", type=BaseURL())
@click.option(
    "--endpoint",
    metavar="NAME",
    help="Endpoint or model to call. [default: chat if listed, else the first for chat]",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    metavar="R",
    help="Open loop: send R calls a second, whatever the host does.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 60_000),
    metavar="N",
    help="Closed loop: N callers, each sending its next call when the last one is answered.",
)
@click.option("--duration", type=_Duration(), metavar="TIME", help="Measure for so long: 30s, 5m, 1h.")
@click.option("--requests", type=click.IntRange(1, 100_000_000), metavar="N", help="Measure so many calls.")
@click.option(
    "--warm-up",
    type=_Duration(),
    default="0s",
    show_default=True,
    metavar="TIME",
    help="Load without measuring first.",
)
@click.option(
    "--ramp",
    type=_Duration(),
    default="0s",
    show_default=True,
    metavar="TIME",
    help="Before that, let the load grow evenly from nothing.",
)
@click.option("--poisson", is_flag=True, help="Open loop: send at random moments, as independent callers do.")
@click.option(
    "--max-connections",
    type=click.IntRange(1, 60_000),
    default=1000,
    show_default=True,
    metavar="N",
    help="Open loop: no more connections than this; calls that wait for one become slower.",
)
@click.option("--stream", is_flag=True, help="Ask for streams; adds time to first token and between tokens.")
@click.option(
    "--prompt-tokens",
    metavar="SIZES",
    help="Different texts of so many tokens: 500, or 100,1000 in turn, or 100-2000 at random.",
)
@click.option(
    "--prompts",
    "prompts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Prompts in turn: one a line, or .jsonl with `prompt` or `messages` in each.",
)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Send this as `max_tokens`.")
@click.option(
    "--parameters", metavar="JSON", help="Further fields of every call, as in '{\"temperature\": 0}'."
)
@timeout_option(60)
@click.option(
    "--slo",
    "slos",
    type=_Objective(),
    multiple=True,
    metavar="EXPRESSION",
    help="Objective that decides the exit code (repeatable), as in 'ttft_ms.p95<=800'.",
)
@click.option("--api", type=click.Choice([api.value for api in Api]), help="How to call the host.")
@click.option(
    "--results",
    "results_paths",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    default=["gateway_load.json"],
    show_default=True,
    metavar="FILE",
    help="Where to keep the result (repeatable): .json, or .html with charts.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be called and cost; call no model.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
@max_cost_option
@pricing_options
@api_key_option
@header_option
@format_options
@click.pass_context
def load(
    ctx: click.Context,
    /,
    url: str,
    endpoint: str | None,
    api: str | None,
    timeout_s: float,
    slos: tuple[Slo, ...],
    results_paths: tuple[Path, ...],
    api_key: str | None,
    output_format: str,
    **options: Any,
) -> None:
    """Put load on a gateway and measure what its callers would see.

    Every call may cost money. Needs --rate or --concurrency, and --duration or --requests.
    Latency counts from the moment at which a call was due, so that a slow host cannot hide behind calls
    that were not sent. The quantities of --slo are latency_ms, ttft_ms, inter_token_ms, inter_chunk_ms
    and send_delay_ms (with .min .mean .max or .pNN), requests_per_s, input_tokens_per_s,
    output_tokens_per_s, error_rate, failed_requests and errors.CLASS.

    \b
    gateway-eval load http://10.3.49.202:5000 --concurrency 16 --duration 30s
    gateway-eval load http://10.3.49.202:5000 --rate 50 --duration 5m --warm-up 10s \\
        --stream --prompt-tokens 200-2000 --slo 'ttft_ms.p95<=800' --slo 'error_rate<=0.001'

    \b
    Exit codes: 0 every objective holds (without --slo: every call succeeded), 1 one does not,
    2 wrong usage, and as for `run` where no call succeeded: 3 unreachable, 4 authentication,
    5 quota, 6 rate limited. 130 is interrupted; what was measured is kept.
    """
    # These take time to import, which --help does not need.
    from gateway_eval.load.caller import Caller
    from gateway_eval.load.execution import execute
    from gateway_eval.load.generator import Generator
    from gateway_eval.load.live_view import view_of
    from gateway_eval.load.measurement import Measurement

    output = Output(Secrets(api_key), quiet=options["quiet"])
    plan = _plan(options, timeout_s)
    _check_slos(slos, stream=options["stream"])
    calls = _calls(options)
    _allow_files(max(plan.concurrency or 0, plan.max_connections if plan.rate else 0))
    pricing = _pricing(options)
    files = [] if options["dry_run"] else _results_files(results_paths)
    try:
        try:
            client = HttpClient(url, api_key=api_key, timeout_s=timeout_s, headers=options["headers"])
            target = discover(client, Api(api) if api else None)
            chosen = as_provider(target.choose(endpoint), options["provider"])
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        except CallError as error:
            output.complain(f"{error.failure.failure_class.value}: {error.failure.message}")
            output.complain(f"    {error.failure.advice}")
            ctx.exit(int(exit_code(error.failure)))
        bodies = _bodies(calls, target, chosen)
        if options["dry_run"]:
            show_estimate(output, output_format, plan, bodies, calls.output_limit, target, chosen, pricing)
            ctx.exit(0)
        output.narrate(f"{url}: {target.api.value} API; calling {chosen.name}: {plan.describe()}")
        spending = Spending(pricing, chosen, Budget(options["max_cost"]))
        caller = Caller.of(
            target, chosen, api_key=api_key, headers=options["headers"], stream=options["stream"]
        )
        measurement = Measurement(plan)
        view = view_of(measurement, output.narrate, quiet=options["quiet"])
        started_at = datetime.now(UTC)
        execute(Generator(plan, caller, bodies, measurement, spending), view)
        result = LoadResult(
            target.base_url,
            chosen.name,
            started_at,
            datetime.now(UTC),
            _environment(options, calls, target),
            measurement,
            list(slos),
            spending,
        )
        written = _write(files, result, output)
    finally:
        for file in files:
            file.discard()
    _show(result, output, output_format)
    code = result.exit_code
    ctx.exit(int(code if written or code is not ExitCode.OK else ExitCode.CHECK_FAILED))


def _plan(options: dict[str, Any], timeout_s: float) -> Plan:
    rate, concurrency = options["rate"], options["concurrency"]
    if (rate is None) == (concurrency is None):
        raise click.UsageError("say how to load: either --rate (open loop) or --concurrency (closed loop)")
    if (options["duration"] is None) == (options["requests"] is None):
        raise click.UsageError("say how much: either --duration or --requests")
    if options["duration"] == 0:
        raise click.UsageError("--duration has to be more than 0")
    if options["poisson"] and rate is None:
        raise click.UsageError("--poisson goes with --rate")
    return Plan(
        rate=rate,
        concurrency=concurrency,
        duration=options["duration"],
        requests=options["requests"],
        warm_up=options["warm_up"],
        ramp=options["ramp"],
        poisson=options["poisson"],
        timeout=timeout_s,
        max_connections=concurrency or options["max_connections"],
    )


def _check_slos(slos: tuple[Slo, ...], *, stream: bool) -> None:
    for slo in slos:
        if slo.quantity in STREAMED and not stream:
            raise click.UsageError(f"{slo.text!r} can only be judged on streams; add --stream")


def _calls(options: dict[str, Any]) -> Calls:
    try:
        return Calls.of(
            prompts_file=options["prompts_file"],
            prompt_tokens=options["prompt_tokens"],
            parameters=options["parameters"],
            max_tokens=options["max_tokens"],
            stream=options["stream"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _bodies(calls: Calls, target: Target, chosen: Endpoint) -> Iterator[bytes]:
    try:
        return calls.bodies(target, chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _allow_files(connections: int) -> None:
    """Let the process have so many connections. Raises UsageError where the system does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise click.UsageError(
                f"this process may have {hard} files open, {wanted} are needed; raise the limit with "
                f"`ulimit -n {wanted}`, or ask for fewer with --max-connections or --concurrency"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _results_files(paths: tuple[Path, ...]) -> list[ResultFile]:
    files: list[ResultFile] = []
    for path in paths:
        if path.suffix not in (".json", ".html"):
            raise click.UsageError(f"{path}: --results takes a name that ends in .json or .html")
        try:
            files.append(ResultFile(path))
        except ValueError as error:
            for file in files:
                file.discard()
            raise click.UsageError(str(error)) from error
    return files


def _environment(options: dict[str, Any], calls: Calls, target: Target) -> dict[str, Any]:
    return {
        **environment(),
        "api": target.api.value,
        "stream": options["stream"],
        "prompts": calls.source,
        "max_tokens": options["max_tokens"],
    }


def _pricing(options: dict[str, Any]) -> Pricing:
    try:
        return Pricing(options["prices"])
    except PriceBookError as error:
        raise click.UsageError(str(error)) from error


def _write(files: list[ResultFile], result: LoadResult, output: Output) -> bool:
    """Write the results; where that fails after all, what was seen is still shown."""
    document = output.secrets.redact_all(result.as_dict())
    written = True
    for file in files:
        if file.path.suffix == ".html":
            from gateway_eval.load.html_report import as_html  # slow to import

            text = as_html(result, document)
        else:
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        try:
            file.write(text)
        except OSError as error:
            output.complain(f"{file.path} could not be written: {error.strerror}; make room and run again")
            written = False
        else:
            output.narrate(f"results: {file.path}")
    return written


def _show(result: LoadResult, output: Output, output_format: str) -> None:
    for warning in result.warnings:
        output.complain(f"warning: {warning}")
    if output_format == "json":
        output.document(
            envelope(
                "load",
                result.rows(),
                result.totals,
                since=result.started_at,
                until=result.finished_at,
                warnings=result.warnings,
            )
        )
    else:
        from gateway_eval.load.text_report import as_text

        output.text(as_text(result))
