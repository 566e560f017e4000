"""The endpoints and traffic routes of a configuration, as records name them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

_AZURE_API_TYPES = frozenset({"azure", "azuread"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint or a traffic route of the configuration; a route has no provider or model of its own."""

    name: str
    operation: str
    provider: str | None = None
    model: str | None = None

    @classmethod
    def of(cls, config: Any) -> "Endpoint":
        """Make one from MLflow's EndpointConfig."""
        return cls(
            name=config.name,
            operation=_operation(config.endpoint_type),
            provider=_provider(config.model),
            model=config.model.name,
        )


def endpoints_of(app: Any) -> Mapping[str, Endpoint]:
    """Return what MLflow's gateway app serves, by name."""
    found = {name: Endpoint.of(config) for name, config in app.dynamic_endpoints.items()}
    for name, route in app.traffic_routes.items():
        found[name] = Endpoint(name=name, operation=_operation(route.task_type))
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
