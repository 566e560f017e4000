"""The endpoints and traffic routes of a configuration, as records name them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from gateway_contracts.request_record import fitting

_AZURE_API_TYPES = frozenset({"azure", "azuread"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint or a traffic route of the configuration; a route has no provider or model of its own."""

    name: str
    operation: str
    provider: str | None = None
    model: str | None = None
    fallbacks: tuple[str, ...] = ()  # endpoints to try in turn where this one fails

    @classmethod
    def of(cls, config: Any) -> "Endpoint":
        """Make one from MLflow's EndpointConfig."""
        return cls(
            name=config.name,
            operation=_operation(config.endpoint_type),
            provider=fitting("provider", _provider(config.model)),
            model=fitting("request_model", config.model.name) if config.model.name else None,
        )


def endpoints_of(app: Any) -> Mapping[str, Endpoint]:
    """Return what MLflow's gateway app serves, by name."""
    fallbacks = getattr(app.state, "fallbacks", {})
    found = {
        name: replace(Endpoint.of(config), fallbacks=fallbacks.get(name, ()))
        for name, config in app.dynamic_endpoints.items()
    }
    for name, route in app.traffic_routes.items():
        found[name] = Endpoint(name=name, operation=_operation(route.task_type))
    return found


def fallbacks_of(document: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the fallbacks of each endpoint of a configuration, which MLflow's schema does not know.

    Raises ValueError where they are no endpoints of the same type.
    """
    endpoints = {endpoint["name"]: endpoint for endpoint in document["endpoints"]}
    found = {}
    for name, endpoint in endpoints.items():
        fallbacks = endpoint.get("fallbacks") or ()
        if not isinstance(fallbacks, list | tuple) or name in fallbacks:
            raise ValueError(f"the fallbacks of endpoint {name} must be a list of other endpoints' names")
        for fallback in fallbacks:
            other = endpoints.get(fallback) if isinstance(fallback, str) else None
            if other is None:
                raise ValueError(f"endpoint {name} has a fallback, {fallback!r}, that is no endpoint")
            if other.get("endpoint_type") != endpoint.get("endpoint_type"):
                raise ValueError(f"endpoint {name} and its fallback {fallback} differ in endpoint_type")
        found[name] = tuple(fallbacks)
    return found


def _operation(endpoint_type: Any) -> str:
    # llm/v1/chat -> chat
    return _plain(endpoint_type).rsplit("/", 1)[-1]


def _provider(model: Any) -> str:
    # MLflow reaches Azure through its openai provider too; the bill then comes from Azure.
    api_type = getattr(model.config, "openai_api_type", None)
    if api_type is not None and _plain(api_type).lower() in _AZURE_API_TYPES:
        return "azure"
    return _plain(model.provider)


def _plain(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)
