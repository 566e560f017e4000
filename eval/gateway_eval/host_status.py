"""The status of one host, gathered without calling a model."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.envelope import timestamp
from gateway_eval.failure import CallError, Failure, FailureClass, exit_code, from_answer
from gateway_eval.health import Health, ask_health, ask_version
from gateway_eval.hosts import Host
from gateway_eval.http_client import HttpClient
from gateway_eval.target import Endpoint, Target, discover

_EXPIRES_SOON_DAYS = 14
_STATUS_OF_EXIT = {ExitCode.UNREACHABLE: "unreachable", ExitCode.AUTHENTICATION: "refused"}
_NO_KEY = (FailureClass.AUTHENTICATION, FailureClass.PERMISSION)


@dataclass(frozen=True)
class HostStatus:
    """What is known of a host; None is unknown.

    `key` says what became of the key that was given: accepted, refused, or not asked for; missing where
    none was given and one is needed.
    """

    host: Host
    api: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    health: Health | None = None
    version: str | None = None
    key: str | None = None
    failure: Failure | None = None
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for this host alone."""
        return ExitCode.OK if self.failure is None else exit_code(self.failure)

    @property
    def reached(self) -> bool:
        """Whether it answers, and lets us in."""
        return self.exit_code in (ExitCode.OK, ExitCode.CHECK_FAILED)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.failure is None

    @property
    def status(self) -> str:
        """One word: ok, degraded, unhealthy (it says either itself), unreachable, refused or unusable."""
        if self.failure is None:
            return "ok"
        if self.health is not None and self.health.degraded is not None and self.reached:
            return "degraded"
        if (
            self.health is not None
            and self.failure is self.health.failure
            and self.exit_code is ExitCode.CHECK_FAILED
        ):
            return "unhealthy"
        return _STATUS_OF_EXIT.get(self.exit_code, "unusable")

    @property
    def certificate_days_left(self) -> int | None:
        """Whole days until the host's certificate expires."""
        tls = self.health.tls if self.health else None
        if not tls or tls["expires_at"] is None:
            return None
        return (datetime.fromtimestamp(tls["expires_at"], UTC) - self.asked_at).days

    @property
    def warnings(self) -> list[str]:
        """What is going to be wrong."""
        days = self.certificate_days_left
        if days is None or days >= _EXPIRES_SOON_DAYS:
            return []
        return [f"{self.host.name}: the certificate expires in {days} days"]

    def tls_words(self) -> str:
        """Return what is known of the TLS connection, for people."""
        tls = (self.health.tls if self.health else None) or {}
        issuer = tls.get("issuer") or "unknown"
        words = f"{tls.get('version')}, {tls.get('subject') or 'no name'}, issued by {issuer}"
        days = self.certificate_days_left
        return words if days is None else f"{words}, expires in {days} days"

    def as_dict(self) -> dict[str, Any]:
        """Return the status as JSON output has it."""
        health = self.health
        tls = health.tls if health else None
        expires = tls["expires_at"] if tls else None
        return {
            "url": self.host.url,
            "name": self.host.name,
            "role": self.host.role,
            "status": self.status,
            "reachable": self.exit_code is not ExitCode.UNREACHABLE,
            "healthy": health.healthy if health else None,
            "health_path": health.path if health else None,
            "health_ms": health.duration_ms if health else None,
            "health_facts": health.facts if health else {},
            "api": self.api,
            "version": self.version,
            "endpoints": [endpoint.as_dict() for endpoint in self.endpoints],
            "key": self.key,
            "tls": None
            if tls is None
            else {
                "version": tls["version"],
                "subject": tls["subject"],
                "issuer": tls["issuer"],
                "expires_at": None if expires is None else timestamp(datetime.fromtimestamp(expires, UTC)),
                "days_left": self.certificate_days_left,
            },
            "error": self.failure.as_dict() if self.failure else None,
        }


def ask_status(
    host: Host, *, api_key: str | None, timeout_s: float, headers: Mapping[str, str] | None = None
) -> HostStatus:
    """Ask one host for all of it, within the timeout in all. Failures are part of the status."""
    ends_at = time.monotonic() + timeout_s
    client = HttpClient(host.url, api_key=api_key, timeout_s=timeout_s, ends_at=ends_at, headers=headers)
    try:
        target = discover(client)
    except CallError as error:
        if exit_code(error.failure) is ExitCode.UNREACHABLE:
            return HostStatus(host, failure=error.failure)
        health = ask_health(client, None)
        key = None
        if error.failure.failure_class in _NO_KEY:
            key = "refused" if api_key else "missing"
        return HostStatus(host, health=health, version=health.version, key=key, failure=error.failure)
    health = ask_health(client, target.api)
    version = health.version or ask_version(client, target.api)
    key, refusal = ask_key(client, target) if api_key and health.failure is None else (None, None)
    failure = health.failure or refusal or _degradation(health)
    return HostStatus(host, target.api.value, target.endpoints, health, version, key, failure)


def _degradation(health: Health) -> Failure | None:
    if health.degraded is None:
        return None
    return Failure.of(
        FailureClass.GATEWAY,
        f"{health.path} says {health.degraded}",
        advice="It serves, but see to what it complains of: its log says more.",
        http_status=health.http_status,
    )


def ask_key(client: HttpClient, target: Target) -> tuple[str | None, Failure | None]:
    """Find out what a host makes of the client's key, by a call without content, which no model gets.

    The same call without a key tells whether the host asks for one at all.
    """
    try:
        endpoint = target.default_endpoint()
    except ValueError:
        if target.api.value == "mlflow":
            return None, None  # nothing to call
        endpoint = Endpoint("")
    path = target.chat_path(endpoint)
    try:
        if _says_to(client.with_key(None), path) is None:
            return "not asked for", None
        refusal = _says_to(client, path)
    except CallError:
        return None, None  # the key is not what is wrong with the host
    if refusal is None:
        return "accepted", None
    return ("refused", refusal) if refusal.failure_class in _NO_KEY else (None, None)


def _says_to(client: HttpClient, path: str) -> Failure | None:
    """Return why a host does not let the client in, or fails; None for fault with the content."""
    with client.call("POST", path, {}) as answer:
        failure = from_answer(answer.status, answer.headers, answer.json_or_text())
        told = failure.failure_class in _NO_KEY or answer.status >= 500
        return failure if told else None
