"""Which path is which operation of which provider."""

import re
from dataclasses import dataclass

from gateway_eval.emulator.call import Call
from gateway_eval.emulator.chat import ChatCall
from gateway_eval.emulator.errors import Dialect


@dataclass(frozen=True, slots=True)
class Route:
    """An operation at a path. `deployment` is the name in an Azure path."""

    kind: type[Call]
    dialect: Dialect
    deployment: str | None = None


_OPERATIONS: dict[str, type[Call]] = {
    "chat/completions": ChatCall,
}

_FIXED: dict[str, Route] = {
    f"{prefix}/{operation}": Route(kind, "openai") for operation, kind in _OPERATIONS.items() for prefix in ("", "/v1")
}

_AZURE = re.compile(r"/openai/deployments/([^/]+)/(.+)")


def find(path: str) -> Route | None:
    """Return the operation at `path`, None where there is none."""
    route = _FIXED.get(path)
    if route is None and (match := _AZURE.fullmatch(path)) and match[2] in _OPERATIONS:
        return Route(_OPERATIONS[match[2]], "azure", match[1])
    return route
