"""`gateway-eval emulator`: a provider to test against."""

import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.emulator.chance import Delay, Fault


class _Read(click.ParamType[Any]):
    """A value that a function reads from text."""

    name = "text"

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5999,
    show_default=True,
    help="Port to listen on; 0 takes a free one and says which.",
)
@click.option(
    "--delay-ms",
    "delay",
    type=_Read(lambda text: Delay.read(text, 3_600_000)),
    default="0",
    show_default=True,
    metavar="DELAY",
    help="Time before the first byte of every answer: 200, 100-300, normal:200,50, lognormal:200,0.5 "
    "or exponential:200.",
)
@click.option(
    "--token-delay-ms",
    "token_delay",
    type=_Read(lambda text: Delay.read(text, 60_000)),
    default="0",
    show_default=True,
    metavar="DELAY",
    help="Time for every output token: paces streams, and delays whole answers by their sum.",
)
@click.option(
    "--api-key", "api_keys", multiple=True, help="A key to accept (repeatable). Without it any key will do."
)
@click.option(
    "--model", "models", multiple=True, help="A model to serve (repeatable). Without it any name will do."
)
@click.option(
    "--error-rate",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Part of the calls, 0 to 1, answered with HTTP 500.",
)
@click.option(
    "--fault",
    "faults",
    type=_Read(Fault.read),
    multiple=True,
    metavar="SHARE:DIRECTIVE",
    help="What strikes a part of the calls (repeatable), as in 0.01:rate_limit or 0.001:cut_stream=10.",
)
@click.option(
    "--vocabulary",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Count tokens as OpenAI does, by this file: o200k_base.tiktoken or cl100k_base.tiktoken.",
)
@click.option(
    "--keep",
    type=click.IntRange(0, 10_000_000),
    default=100_000,
    show_default=True,
    help="How many of the latest calls /emulator/requests remembers.",
)
@click.option(
    "--tls-certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve HTTPS with this certificate chain (PEM).",
)
@click.option(
    "--tls-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The certificate's key (PEM).",
)
def emulator(
    host: str,
    port: int,
    vocabulary: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    **behaviour: Any,
) -> None:
    """Run a provider that costs nothing: OpenAI, Azure OpenAI, Anthropic and Gemini, from memory.

    Answers depend on the request alone. A prompt may ask for a fault: "[emulator:rate_limit]",
    "[emulator:quota]", "[emulator:status=503]", "[emulator:hang]", "[emulator:cut_stream]",
    "[emulator:delay=1.5]". What was served is counted at /emulator/stats. It runs until SIGTERM or Ctrl-C.

    \b
    Example:
      gateway-eval emulator --port 5999 --delay-ms 200 --token-delay-ms 20
    """
    # Imported here, so that other commands do not wait for a server they do not start.
    from gateway_eval.emulator import server
    from gateway_eval.emulator.app import Emulator, Options

    _use_vocabulary(vocabulary)
    tls = _tls(tls_certificate, tls_key)
    try:
        listener = server.listen(host, port)
    except OSError as error:
        raise click.UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from None
    options = Options(
        delay=behaviour["delay"],
        token_delay=behaviour["token_delay"],
        api_keys=frozenset(behaviour["api_keys"]),
        models=frozenset(behaviour["models"]),
        error_rate=behaviour["error_rate"],
        faults=_faults(behaviour["faults"]),
        keep=behaviour["keep"],
    )
    shown = f"[{host}]" if ":" in host else host
    url = f"{'https' if tls else 'http'}://{shown}:{listener.getsockname()[1]}"
    stopped_by = server.serve(
        Emulator(options),
        listener,
        tls=tls,
        on_ready=lambda: click.echo(f"provider emulator listens on {url}", err=True),
    )
    if stopped_by == signal.SIGINT:
        raise SystemExit(ExitCode.INTERRUPTED)


def _faults(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    if sum(fault.share for fault in faults) > 1:
        raise click.UsageError("the shares of --fault add up to more than 1; a call has one fault at most")
    return faults


def _use_vocabulary(path: Path | None) -> None:
    if path is None:
        return
    from gateway_eval.emulator import tokens, vocabulary

    try:
        tokens.use(vocabulary.splitter(path))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    from gateway_eval.emulator import server

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise click.UsageError("--tls-certificate and --tls-key belong together; give both")
    try:
        server.check_tls(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise click.UsageError(
            f"cannot use {certificate} with {key}: {error}; give a PEM certificate and its unencrypted PEM "
            "key"
        ) from None
    return certificate, key
