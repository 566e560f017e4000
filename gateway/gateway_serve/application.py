"""The whole application of one configuration, and how it is loaded and loaded again."""

import gc
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mlflow.environment_variables import (
    MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_ENV,
    MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_FILE,
)
from pydantic import ValidationError

from gateway_serve import log_lines, mlflow_app, tokenizer
from gateway_serve.endpoints import endpoints_of
from gateway_serve.gatekeeper import Gatekeeper
from gateway_serve.key_file import KeyFile
from gateway_serve.limits import Limits
from gateway_serve.metrics import Metrics
from gateway_serve.middleware import CallRecorder
from gateway_serve.pages import Pages
from gateway_serve.request_log import RequestLog
from gateway_serve.secret_files import SecretFileError, SecretFiles
from gateway_serve.settings import Settings

# Python's own is 700 new objects, which a few calls make, hardly any of them in a cycle: looking for cycles
# that often takes a tenth of a call's time. The server looks once a second.
_GARBAGE_THRESHOLD = 10_000

_SECRET_KEYS = ("key", "token", "secret", "password", "credential")


class ConfigError(ValueError):
    """A configuration that cannot be served; the message names what is wrong, without secrets."""


class Application:
    """Loads the secrets and the configuration file, and holds the ASGI app made from them."""

    def __init__(self, config_path: Path, settings: Settings) -> None:
        self.config_path = config_path
        self._settings = settings
        self._secrets = SecretFiles(settings.secrets_directory)
        self.version = importlib.metadata.version("mlflow-gateway-fleet")
        # These outlive a configuration, and processes forked from this one share their counts.
        self.metrics = Metrics()
        self._limits = Limits()
        self._keys = KeyFile(settings.api_keys) if settings.api_keys else None
        self._log: RequestLog | None = None
        self.app: Pages | None = None
        self.digest = ""

    def load(self) -> None:
        """Make the app anew. Raises ConfigError and keeps the one before.

        The first time it reads the file of keys too, and may raise KeyFileError.
        """
        if self._keys is not None and self.app is None:
            self._keys.load()
        try:
            self._secrets.load()
        except SecretFileError as error:
            raise ConfigError(str(error)) from None
        log_lines.hide(self._secrets.values)
        # As MLflow's own runner does: keys may be named by `$VARIABLE` or by a file's path.
        os.environ[MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_ENV.name] = "true"
        os.environ[MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_FILE.name] = "true"
        digest = config_digest(self.config_path)
        try:
            document = yaml.safe_load(self.config_path.read_bytes())
            if not isinstance(document, dict) or not isinstance(document.get("endpoints"), list):
                raise ConfigError("it has no list of endpoints")
            log_lines.hide(_secrets_in(document))
            app = mlflow_app.create(self.config_path)
        except Exception as error:  # MLflow's own checks raise whatever the file makes them stumble over
            raise ConfigError(
                f"{self.config_path} is no valid gateway configuration: {_explain(error)}"
            ) from None
        if config_digest(self.config_path) != digest:
            self.load()  # it changed while it was read
            return
        identity = {"gateway_version": self.version, "config_digest": digest}
        settings = self._settings
        log = RequestLog(settings.request_log, settings.host_name, settings.instance, identity, self.metrics)
        required = settings.request_log_required
        gatekeeper = Gatekeeper(
            self.metrics, log, log_required=required, keys=self._keys, limits=self._limits
        )
        endpoints = endpoints_of(app)
        tokenizer.prepare(endpoint.model for endpoint in endpoints.values())
        recorder = CallRecorder(app, endpoints, log, gatekeeper)
        self.app = Pages(
            recorder,
            gatekeeper,
            self.metrics,
            log,
            self.version,
            log_required=required,
            keys=self._keys,
        )
        self._log = log
        self.digest = digest
        # Workers share this memory for as long as nobody writes to it, and collecting garbage writes.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def begin_process(self, worker: int) -> None:
        """Call this in a new worker process, before it serves; no other process has its number."""
        gc.set_threshold(_GARBAGE_THRESHOLD)
        self.metrics.begin_process(worker, self.version, self.digest)
        if self._keys is not None:
            self._keys.watch(self.metrics)
        if self._log is not None:
            self._log.begin_process()

    def refresh_keys(self) -> None:
        """Follow the file of keys, and tell the log; for the process that serves no call."""
        if self._keys is not None:
            self._keys.refresh(tell=True)

    def begin_stop(self) -> None:
        """Call this in a worker process that takes no new connections any more."""
        if self.app is not None:
            self.app.stopping = True

    def end_process(self) -> None:
        """Call this in a worker process that has served its last call."""
        self.metrics.tallies.flush()
        if self._log is not None:
            self._log.close()
        if self._keys is not None:
            self._keys.close()


def config_digest(path: Path) -> str:
    """Return the first 12 hexadecimal digits of the file's SHA-256. Raises ConfigError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from None


def _explain(error: BaseException) -> str:
    """Say what is wrong without quoting values: a validator's own text quotes its input, keys included."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ValidationError):
            return "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'file'}: {log_lines.hidden(problem['msg'])}"
                for problem in link.errors(include_url=False, include_context=False, include_input=False)
            )
        if isinstance(link, yaml.MarkedYAMLError):
            mark = link.problem_mark
            return f"not YAML: {link.problem}" + (f" in line {mark.line + 1}" if mark else "")
        link = link.__cause__ or link.__context__
    return log_lines.hidden(f"{error or type(error).__name__}")


def _secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """Yield the texts of a configuration that stand under a name such as openai_api_key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets_in(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets_in(inner, name)
    elif isinstance(value, str) and any(part in name.lower() for part in _SECRET_KEYS):
        yield os.environ.get(value[1:], "") if value.startswith("$") else value
