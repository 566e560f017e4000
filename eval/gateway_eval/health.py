"""Health of a host, asked for without calling a model."""

from dataclasses import dataclass, field
from typing import Any

from gateway_eval.failure import CallError, Failure, FailureClass
from gateway_eval.http_client import HttpClient
from gateway_eval.target import Api


@dataclass(frozen=True)
class Health:
    """What a host says of itself. `healthy` is None where it does not offer that; times in milliseconds.

    `facts` are the plain values beside `status` in its answer, as a host gives them. `degraded` is what it
    complains of although it serves, as a gateway does that cannot write its records.
    """

    healthy: bool | None
    path: str | None = None
    http_status: int | None = None
    duration_ms: float | None = None
    version: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    tls: dict[str, Any] | None = None
    degraded: str | None = None
    failure: Failure | None = None


def ask_health(client: HttpClient, api: Api | None) -> Health:
    """Ask the host for its health.

    A host that is not MLflow is asked for its readiness first: LiteLLM's /health calls every model it has,
    which costs money; its /health/readiness calls none (https://docs.litellm.ai/docs/proxy/health).
    """
    paths = ("/health",) if api is Api.MLFLOW else ("/health/readiness", "/health")
    for path in paths:
        try:
            health = _ask(client, path)
        except CallError as error:
            return Health(False, path, error.failure.http_status, failure=error.failure)
        # A readiness page that needs a key may not exist at all; /health usually needs none.
        if health is not None and (health.http_status not in (401, 403) or path == paths[-1]):
            return health
    return Health(None)


def ask_version(client: HttpClient, api: Api | None) -> str | None:
    """Return the version in the description of MLflow's own API; None where there is none."""
    if api is not Api.MLFLOW:
        return None
    try:
        info = client.get_json("/openapi.json")["info"]
        return f"{info['title']} {info['version']}"
    except (CallError, KeyError, TypeError):
        return None


def _ask(client: HttpClient, path: str) -> Health | None:
    """Return the health that a path tells; None where the host does not have it."""
    with client.call("GET", path) as answer:
        body = answer.json_or_text()
        took = round(answer.elapsed_ms(), 1)
        if answer.status in (404, 405) or 300 <= answer.status < 400:
            return None
        healthy = answer.status < 300
        said = _words(body)
        failure = None
        if not healthy:
            failure = Failure.of(
                FailureClass.GATEWAY, f"{path} says HTTP {answer.status}: {said}", http_status=answer.status
            )
        return Health(
            healthy,
            path,
            answer.status,
            took,
            _version(body, answer.headers),
            _facts(body),
            answer.tls,
            said if healthy and said.lower().startswith(_NOT_WELL) else None,
            failure,
        )


# What hosts call a state in which they serve, but not as they should.
_NOT_WELL = ("degraded", "unhealthy", "warn", "fail", "error")


def _words(body: Any) -> str:
    """Return the status that a host tells, and the problems it names."""
    if not isinstance(body, dict):
        return str(body)
    problems = body.get("problems")
    named = "; ".join(map(str, problems)) if isinstance(problems, list) else ""
    return ": ".join(part for part in (str(body.get("status", body)), named) if part)


def _facts(body: Any) -> dict[str, Any]:
    """Return the first few plain values of an answer, without what is shown elsewhere."""
    if not isinstance(body, dict):
        return {}
    plain = {key: value for key, value in body.items() if isinstance(value, str | int | float | bool)}
    shown_elsewhere = ("status", *_VERSION_KEYS)
    return {
        key: value for key, value in plain.items() if key not in shown_elsewhere and len(str(value)) <= 80
    }


_VERSION_KEYS = ("version", "gateway_version", "litellm_version")


def _version(body: Any, headers: dict[str, str]) -> str | None:
    """Return the version where the body or the headers tell it."""
    if isinstance(body, dict):
        for key in _VERSION_KEYS:
            if isinstance(body.get(key), str):
                return str(body[key])
    return headers.get("x-gateway-version") or headers.get("x-litellm-version")
