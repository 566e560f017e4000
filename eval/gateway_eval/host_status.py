"""The status of one host, gathered without calling a model."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.envelope import timestamp
from gateway_eval.failure import CallError, Failure, exit_code
from gateway_eval.health import Health, ask_health, ask_version
from gateway_eval.http_client import HttpClient
from gateway_eval.target import Endpoint, discover

_EXPIRES_SOON_DAYS = 14
_STATUS_OF_EXIT = {ExitCode.UNREACHABLE: "unreachable", ExitCode.AUTHENTICATION: "refused"}


@dataclass(frozen=True)
class HostStatus:
    """What is known of a host; None is unknown."""

    url: str
    api: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    health: Health | None = None
    version: str | None = None
    failure: Failure | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for this host alone."""
        return ExitCode.OK if self.failure is None else exit_code(self.failure)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.failure is None

    @property
    def status(self) -> str:
        """One word: ok, unreachable, refused, unhealthy (it says so itself) or unusable."""
        if self.failure is None:
            return "ok"
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
        return (datetime.fromtimestamp(tls["expires_at"], UTC) - datetime.now(UTC)).days

    @property
    def warnings(self) -> list[str]:
        """What is going to be wrong."""
        days = self.certificate_days_left
        if days is None or days >= _EXPIRES_SOON_DAYS:
            return []
        return [f"{self.url}: the certificate expires in {days} days"]

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
            "url": self.url,
            "status": self.status,
            "reachable": self.exit_code is not ExitCode.UNREACHABLE,
            "healthy": health.healthy if health else None,
            "health_path": health.path if health else None,
            "health_ms": health.duration_ms if health else None,
            "api": self.api,
            "version": self.version,
            "endpoints": [endpoint.as_dict() for endpoint in self.endpoints],
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


def ask_status(url: str, *, api_key: str | None, timeout_s: float) -> HostStatus:
    """Ask one host for all of it. Failures are part of the status."""
    client = HttpClient(url, api_key=api_key, timeout_s=timeout_s)
    try:
        target = discover(client)
    except CallError as error:
        if exit_code(error.failure) is ExitCode.UNREACHABLE:
            return HostStatus(url, failure=error.failure)
        health = ask_health(client, None)
        return HostStatus(url, health=health, version=health.version, failure=error.failure)
    health = ask_health(client, target.api)
    version = health.version or ask_version(client, target.api)
    return HostStatus(url, target.api.value, target.endpoints, health, version, health.failure)
