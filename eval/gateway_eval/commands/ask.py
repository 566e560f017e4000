"""`gateway-eval ask`: one prompt, its answer as it comes, and what it took."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_contracts.price_book import PriceBookError
from gateway_eval.chat import ChatOutcome, chat
from gateway_eval.envelope import envelope
from gateway_eval.failure import CallError, Failure, FailureClass, exit_code
from gateway_eval.http_client import HttpClient
from gateway_eval.options import (
    BaseURL,
    api_key_option,
    format_options,
    header_option,
    pricing_options,
    timeout_option,
)
from gateway_eval.output import Output
from gateway_eval.pricing import Pricing
from gateway_eval.results import TurnResult, money
from gateway_eval.secrets import Secrets, StreamRedactor
from gateway_eval.table import known
from gateway_eval.target import Api, Endpoint, Target, as_provider, discover


@click.command()
@click.argument("url", type=BaseURL())
@click.argument("prompt")
@click.option("--system", metavar="TEXT", help="Instructions to the model.")
@click.option(
    "--endpoint",
    metavar="NAME",
    help="Endpoint or model to call. [default: chat if listed, else the first for chat]",
)
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Most tokens of the answer.")
@click.option("--stream/--no-stream", default=True, help="Show the answer as it comes.", show_default=True)
@timeout_option(120)
@click.option(
    "--api",
    type=click.Choice([api.value for api in Api]),
    help="How to call the host. [default: found out by asking]",
)
@pricing_options
@click.option("-q", "--quiet", is_flag=True, help="The answer alone, without what it took.")
@api_key_option
@header_option
@format_options
@click.pass_context
def ask(
    ctx: click.Context,
    url: str,
    prompt: str,
    system: str | None,
    endpoint: str | None,
    max_tokens: int | None,
    stream: bool,
    timeout_s: float,
    api: str | None,
    prices: Path | None,
    provider: str | None,
    quiet: bool,
    api_key: str | None,
    headers: dict[str, str],
    output_format: str,
) -> None:
    """Ask one question; PROMPT is - for standard input.

    The answer goes to standard output as it comes. Tokens, cost and time go to
    standard error after it.

    \b
    gateway-eval ask http://10.3.49.202:5000 "What is AI?"
    gateway-eval ask https://gateway.example - --endpoint gpt-4o --api-key-env KEY < prompt.txt

    \b
    Exit codes: 0 answered, 1 the call failed, 2 wrong usage, 3 unreachable,
    4 authentication, 5 quota, 6 rate limited, 130 interrupted.
    """
    output = Output(Secrets(api_key), quiet=quiet)
    try:
        pricing = Pricing(prices)
    except PriceBookError as error:
        raise click.UsageError(str(error)) from error
    said = sys.stdin.read() if prompt == "-" else prompt
    if not said.strip():
        raise click.UsageError("the prompt is empty; write a question, or - and one on standard input")
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": said})
    shown = StreamRedactor(output.secrets, sys.stdout.write if output_format == "table" else _nowhere)
    client = HttpClient(url, api_key=api_key, timeout_s=timeout_s, headers=headers)
    started_at = datetime.now(UTC)
    chosen = Endpoint(endpoint or "")
    try:
        target = discover(client, Api(api) if api else None)
        chosen = as_provider(_chosen(target, endpoint), provider)
        outcome = chat(
            client,
            target,
            chosen,
            messages,
            stream=stream,
            parameters={"max_tokens": max_tokens} if max_tokens else None,
            on_text=lambda text: _show(shown, text),
        )
    except CallError as error:
        outcome = ChatOutcome(stream, failure=error.failure)
    except KeyboardInterrupt:
        interrupted = Failure.of(FailureClass.INTERRUPTED, "interrupted", advice="The call may be billed.")
        outcome = ChatOutcome(stream, failure=interrupted)
    shown.end()
    turn = TurnResult(1, 1, chosen, started_at, outcome, messages=tuple(messages))
    turn.cost, turn.cost_source = pricing.cost(chosen, outcome, started_at)
    if output_format == "json":
        row = {
            key: value for key, value in turn.as_dict().items() if key not in ("turn", "attempt", "checks")
        }
        output.document(envelope("ask", [row], _totals(turn), since=started_at, until=datetime.now(UTC)))
    elif outcome.output:
        click.echo()
    if outcome.failure is not None:
        output.complain(f"{outcome.failure.failure_class.value}: {outcome.failure.message}")
        output.complain(f"    {outcome.failure.advice}")
    if outcome.http_status is not None:
        output.narrate(took(turn))
    ctx.exit(int(ExitCode.OK if outcome.failure is None else exit_code(outcome.failure)))


def _chosen(target: Target, name: str | None) -> Endpoint:
    try:
        return target.choose(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _show(shown: StreamRedactor, text: str) -> None:
    shown.write(text)
    sys.stdout.flush()


def _nowhere(_text: str) -> int:
    return 0


def _totals(turn: TurnResult) -> dict[str, Any]:
    usage = turn.outcome.usage
    return {
        "requests": int(turn.outcome.http_status is not None),
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cost_usd": money(turn.cost),
        "unpriced_requests": int(turn.unpriced),
    }


def took(turn: TurnResult) -> str:
    """Return tokens, cost and time of a call in one line."""
    outcome, usage = turn.outcome, turn.outcome.usage
    words = []
    if usage is not None and (usage.input_tokens, usage.output_tokens) != (None, None):
        reasoning = f" ({usage.reasoning_tokens} of them reasoning)" if usage.reasoning_tokens else ""
        cached = f" ({usage.cached_input_tokens} of them cached)" if usage.cached_input_tokens else ""
        words.append(
            f"{known(usage.input_tokens)} tokens in{cached}, {known(usage.output_tokens)} out{reasoning}"
        )
    if turn.cost is not None:
        words.append(f"${money(turn.cost)}")
    elif turn.unpriced:
        words.append("unpriced")
    if outcome.time_to_first_token_ms is not None:
        words.append(f"first token after {outcome.time_to_first_token_ms:.0f} ms")
    words.append(f"{outcome.duration_ms or 0:.0f} ms")
    words += [part for part in (outcome.response_model or turn.endpoint.model, outcome.request_id) if part]
    return " | ".join(words)
