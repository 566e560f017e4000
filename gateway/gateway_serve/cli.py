"""The command `gateway-serve`: options, environment and defaults of `mlflow gateway start`, and `keys`."""

import os
from pathlib import Path

import click

from gateway_serve import log_lines
from gateway_serve.api_keys import KeyFileError
from gateway_serve.keys_command import keys
from gateway_serve.settings import Settings, SettingsError


@click.group(invoke_without_command=True, epilog="Environment variables and signals: docs/gateway.md.")
@click.option(
    "--config-path",
    envvar="MLFLOW_GATEWAY_CONFIG",
    type=click.Path(path_type=Path),
    help="The gateway configuration file, as for MLflow; needed to serve.  [env: MLFLOW_GATEWAY_CONFIG]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=5000, show_default=True, type=click.IntRange(0, 65535), help="The port to listen on."
)
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1, 1024), help="The number of workers."
)
@click.option("--check", is_flag=True, help="Only check the configuration and the settings, then exit.")
@click.version_option(package_name="mlflow-gateway-fleet")
@click.pass_context
def main(
    context: click.Context, config_path: Path | None, host: str, port: int, workers: int, check: bool
) -> None:
    """Serve an MLflow AI Gateway configuration, and leave a request record for every LLM call.

    \b
    Example:
      GATEWAY_REQUEST_LOG=- gateway-serve --config-path config.yaml --port 5000 --workers 4
    """
    if context.invoked_subcommand is not None:
        return
    if config_path is None:
        raise click.MissingParameter(param=next(p for p in context.command.params if p.name == "config_path"))
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None

    log_lines.configure()
    # MLflow reports its use to its makers unless told not to; a gateway's callers did not agree to that.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # numpy serves MLflow for one weighted choice; a pool of threads in each worker would only cost memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    # Imported here: MLflow reads these settings when it is imported, and --help should not wait for it.
    from gateway_serve.application import Application, ConfigError
    from gateway_serve.server import run

    try:
        application = Application(Path(os.path.normpath(config_path.expanduser().absolute())), settings)
        application.load()
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--config-path") from None
    except KeyFileError as error:
        raise click.BadParameter(str(error), param_hint="GATEWAY_API_KEYS") from None
    if not check:
        run(application, settings, host, port, workers)


main.add_command(keys)
