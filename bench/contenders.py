"""The gateways that are compared: how each is installed and started, always with one worker."""

import contextlib
import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.processes import NotAvailableError, Running, clean_environment, free_port, running
from bench.upstream import KEY, Upstream, program

BUILD = Path(__file__).parent.parent / "build" / "bench"
PINNED = Path(__file__).parent / "pinned"
MODEL = "gpt-4o"


@dataclass(frozen=True)
class Target:
    """Where calls go: the URL of the chat completions, and headers beside the content type."""

    url: str
    process: Running
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One row of the table. `start` takes the upstream and an empty directory."""

    name: str
    version: Callable[[], str]
    start: Callable[[Upstream, Path], AbstractContextManager[Target]]


@contextlib.contextmanager
def _direct(upstream: Upstream, _directory: Path) -> Iterator[Target]:
    headers = {"authorization": f"Bearer {KEY}"}
    yield Target(f"{upstream.base_url}/chat/completions", upstream.process, headers)


@contextlib.contextmanager
def _passthrough(upstream: Upstream, directory: Path) -> Iterator[Target]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bench.passthrough",
        upstream.base_url,
        str(port),
        str(directory / "lines"),
    ]
    with _listening(command, directory, port, SSL_CERT_FILE=str(upstream.certificate)) as target:
        yield target


def mlflow_config(upstream: Upstream, directory: Path) -> Path:
    """Write the configuration that both stock MLflow and ours serve; return its path."""
    model = {
        "provider": "openai",
        "name": MODEL,
        "config": {"openai_api_key": KEY, "openai_api_base": upstream.base_url},
    }
    path = directory / "config.yaml"
    endpoints = [{"name": MODEL, "endpoint_type": "llm/v1/chat", "model": model}]
    path.write_text(yaml.safe_dump({"endpoints": endpoints}))
    return path


@contextlib.contextmanager
def _stock(upstream: Upstream, directory: Path) -> Iterator[Target]:
    port = free_port()
    config = str(mlflow_config(upstream, directory))
    command = [
        program("mlflow"),
        "gateway",
        "start",
        "--config-path",
        config,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    with _listening(
        command, directory, port, SSL_CERT_FILE=str(upstream.certificate), MLFLOW_DISABLE_TELEMETRY="true"
    ) as target:
        yield target


@contextlib.contextmanager
def ours(upstream: Upstream, directory: Path, workers: int = 1, records: bool = True) -> Iterator[Target]:
    """Run this project's gateway; records go to `directory`/spool."""
    port = free_port()
    config = str(mlflow_config(upstream, directory))
    command = [
        program("gateway-serve"),
        "--config-path",
        config,
        "--port",
        str(port),
        "--workers",
        str(workers),
    ]
    variables = {"SSL_CERT_FILE": str(upstream.certificate)}
    if records:
        spool = directory / "spool"
        spool.mkdir()
        variables["GATEWAY_REQUEST_LOG"] = str(spool)
    with _listening(command, directory, port, **variables) as target:
        yield target


@contextlib.contextmanager
def _ours_without_records(upstream: Upstream, directory: Path) -> Iterator[Target]:
    with ours(upstream, directory, records=False) as target:
        yield target


@contextlib.contextmanager
def _litellm(upstream: Upstream, directory: Path) -> Iterator[Target]:
    environment = _install_litellm()
    port = free_port()
    served = {
        "model_name": MODEL,
        "litellm_params": {"model": f"openai/{MODEL}", "api_base": upstream.base_url, "api_key": KEY},
    }
    config = directory / "config.yaml"
    # It does not start without a key of its own; who calls it must show it.
    master = "sk-bench-master-key-0123456789abcdef"
    config.write_text(yaml.safe_dump({"model_list": [served], "general_settings": {"master_key": master}}))
    command = [
        *(environment / "bin" / "litellm", "--config", config, "--host", "127.0.0.1", "--port", port),
        *("--num_workers", 1, "--telemetry", False),
    ]
    with _listening(
        command,
        directory,
        port,
        SSL_CERT_FILE=str(upstream.certificate),
        LITELLM_LOCAL_MODEL_COST_MAP="True",  # else it asks the network for prices
        LITELLM_LOG="ERROR",
    ) as target:
        yield Target(target.url, target.process, {"authorization": f"Bearer {master}"})


@contextlib.contextmanager
def _portkey(upstream: Upstream, directory: Path) -> Iterator[Target]:
    server = _install_portkey() / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    port = free_port()
    headers = {
        "authorization": f"Bearer {KEY}",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": upstream.base_url,
    }
    with _listening(
        ["node", server, "--headless", f"--port={port}"],
        directory,
        port,
        NODE_EXTRA_CA_CERTS=str(upstream.certificate),
        NODE_ENV="production",
        TRUSTED_CUSTOM_HOSTS="127.0.0.1",
    ) as target:
        yield Target(target.url, target.process, headers)


@contextlib.contextmanager
def _listening(command: Sequence[object], directory: Path, port: int, **environment: str) -> Iterator[Target]:
    base = f"http://127.0.0.1:{port}"
    words = [str(word) for word in command]
    with running(words, directory / "log", f"{base}/", **environment) as process:
        yield Target(f"{base}/v1/chat/completions", process)


def _install_litellm() -> Path:
    pinned = PINNED / "litellm.txt"
    environment = BUILD / "litellm"

    def install() -> None:
        _run([sys.executable, "-m", "venv", "--clear", environment])
        _run([environment / "bin" / "pip", "install", "--quiet", "--require-hashes", "-r", pinned])

    _once(environment, pinned, install)
    return environment


def _install_portkey() -> Path:
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            raise NotAvailableError(f"{tool} is not installed")
    directory = BUILD / "portkey"

    def install() -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINNED / name, directory)
        _run(
            ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", directory]
        )

    _once(directory, PINNED / "package-lock.json", install)
    return directory


def _once(directory: Path, pinned: Path, install: Callable[[], None]) -> None:
    """Install unless exactly these pins are installed already."""
    mark = directory / ".installed"
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return
    install()
    mark.write_text(digest)


def _run(command: Sequence[object]) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=clean_environment()
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotAvailableError(
            f"{Path(str(command[0])).name} failed: {said[-1][:300] if said else 'no reason given'}"
        )


def _installed(package: str) -> Callable[[], str]:
    return lambda: importlib.metadata.version(package)


def _pinned_litellm() -> str:
    return (PINNED / "litellm.in").read_text().split("==")[1].strip()


def _pinned_portkey() -> str:
    version: str = json.loads((PINNED / "package.json").read_text())["dependencies"]["@portkey-ai/gateway"]
    return version


DIRECT = "no gateway"
FLOOR = "bare pass-through"
OURS = "this gateway"
WITHOUT_RECORDS = "this gateway, records off"
STOCK = "MLflow"
PORTKEY = "Portkey"
LITELLM = "LiteLLM"

CONTENDERS = (
    Contender(DIRECT, lambda: "", _direct),
    Contender(FLOOR, _installed("aiohttp"), _passthrough),
    Contender(OURS, _installed("mlflow-gateway-fleet"), ours),
    Contender(WITHOUT_RECORDS, _installed("mlflow-gateway-fleet"), _ours_without_records),
    Contender(STOCK, _installed("mlflow-skinny"), _stock),
    Contender(PORTKEY, _pinned_portkey, _portkey),
    Contender(LITELLM, _pinned_litellm, _litellm),
)


def contender(name: str) -> Contender:
    """Return the contender of this name."""
    return next(one for one in CONTENDERS if one.name == name)
