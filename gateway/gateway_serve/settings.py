"""What the environment sets; docs/gateway.md describes each variable."""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway_serve.request_log import STANDARD_OUTPUT

# Stands in file names and records: no slash, no space, nothing long.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable and the remedy."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a gateway-serve process. Times are whole seconds."""

    host_name: str
    instance: str
    request_log: str | None
    request_log_required: bool
    api_keys: Path | None
    secrets_directory: Path | None
    forwarded_allow_ips: str
    graceful_timeout: int
    linger: int
    keep_alive: int
    worker_timeout: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError."""
        host_name = _name(environment, "GATEWAY_HOST", socket.gethostname())
        request_log = _request_log(environment.get("GATEWAY_REQUEST_LOG"))
        secrets = environment.get("GATEWAY_SECRETS_DIR")
        keys = environment.get("GATEWAY_API_KEYS")
        return cls(
            host_name=host_name,
            instance=_name(environment, "GATEWAY_INSTANCE", host_name),
            request_log=request_log,
            request_log_required=_required(environment, request_log),
            api_keys=Path(keys) if keys else None,
            secrets_directory=Path(secrets) if secrets else None,
            forwarded_allow_ips=_addresses(environment.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")),
            # Longer than MLflow waits for a provider (300 s), so that a stop cuts no call.
            graceful_timeout=_seconds(environment, "GATEWAY_GRACEFUL_TIMEOUT", 310),
            # How long a stopping worker waits for others to close their idle connections: longer than the
            # load balancer keeps one, so that no call meets a closing connection.
            linger=_seconds(environment, "GATEWAY_LINGER", 1),
            # Longer than a load balancer keeps a connection (nginx: 60 s): the side that closes first should
            # be the one that sends, or a request can meet a connection that is just closing.
            keep_alive=_seconds(environment, "GATEWAY_KEEP_ALIVE", 75),
            worker_timeout=_seconds(environment, "GATEWAY_WORKER_TIMEOUT", 120),
        )


def _name(environment: Mapping[str, str], variable: str, default: str) -> str:
    name = environment.get(variable) or default
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{variable} is {name!r}; use at most 64 letters, digits, dots, hyphens and underscores, "
            "a letter or digit first"
        )
    return name


def _seconds(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 86400:
        raise SettingsError(f"{variable} is {text!r}; use whole seconds from 1 to 86400")
    return int(text)


def _addresses(text: str) -> str:
    for part in text.split(","):
        try:
            if part.strip() != "*":
                ipaddress.ip_network(part.strip())
        except ValueError:
            raise SettingsError(
                f"FORWARDED_ALLOW_IPS holds {part.strip()!r}; "
                "use addresses or networks such as 10.3.49.0/24, with commas between them"
            ) from None
    return text


def _required(environment: Mapping[str, str], request_log: str | None) -> bool:
    variable = "GATEWAY_REQUEST_LOG_REQUIRED"
    text = environment.get(variable) or "false"
    if text.lower() not in ("true", "false"):
        raise SettingsError(f"{variable} is {text!r}; use true or false")
    if text.lower() == "true" and request_log is None:
        raise SettingsError(f"{variable} is true, but GATEWAY_REQUEST_LOG names no place for records; set it")
    return text.lower() == "true"


def _request_log(target: str | None) -> str | None:
    if not target or target == STANDARD_OUTPUT:
        return target or None
    if not Path(target).is_dir() or not os.access(target, os.W_OK | os.X_OK):
        raise SettingsError(
            f"GATEWAY_REQUEST_LOG is {target}, which is no directory that user {os.getuid()} may write to; "
            "make it, give it to that user, or use - for standard output"
        )
    return target
