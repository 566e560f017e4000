"""Endpoints whose providers speak OpenAI's format: their calls need no adapter and go straight there.

Addresses, credentials and the rules for a request's body are asked of MLflow's provider objects, once. What
MLflow would refuse, and whatever is out of the ordinary, is left to MLflow's own app.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any
from urllib.request import getproxies, proxy_bypass

import orjson
from mlflow.environment_variables import MLFLOW_ENABLE_UC_FUNCTIONS
from mlflow.gateway.config import OpenAIAPIType
from mlflow.gateway.providers import get_provider
from mlflow.gateway.providers.mistral import MistralProvider
from mlflow.gateway.providers.openai import OpenAIAdapter, OpenAIProvider
from mlflow.gateway.providers.openai_compatible import OpenAICompatibleAdapter, OpenAICompatibleProvider
from mlflow.gateway.schemas import chat, completions, embeddings
from mlflow.utils.uri import append_to_uri_path
from pydantic import ValidationError
from yarl import URL

from gateway_serve.endpoints import Endpoint
from gateway_serve.provider_client import Target


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the calls of one operation have in common."""

    path: str
    check: Callable[..., Any]  # MLflow's own schema of the request
    answer_key: str  # the list without which it is no answer
    signed: bool  # MLflow names the provider in the answer
    streams: bool


_KINDS = {
    "chat": _Kind(
        "chat/completions", chat.RequestPayload.__pydantic_validator__.validate_json, "choices", True, True
    ),
    "completions": _Kind(
        "completions", completions.RequestPayload.__pydantic_validator__.validate_json, "choices", False, True
    ),
    "embeddings": _Kind(
        "embeddings", embeddings.RequestPayload.__pydantic_validator__.validate_json, "data", False, False
    ),
}


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """A request as the provider gets it."""

    endpoint: "DirectEndpoint"
    body: bytes
    stream: bool
    hide_usage: bool  # the caller does not want the usage that the provider was asked for
    hide_end: bool  # MLflow sends no [DONE]; where the path is OpenAI's, its clients wait for it


@dataclass(frozen=True, slots=True)
class DirectEndpoint:
    """An endpoint that needs no adapter, for one operation."""

    endpoint: Endpoint
    target: Target
    answer_key: str
    signature: bytes  # what MLflow adds to every object that it answers
    has_limit: bool = False  # one of MLflow's own, which it keeps on its own routes
    _kind: _Kind = field(repr=False, default=_KINDS["chat"])
    _model: str | None = None  # None: the URL says it
    _asks_for_usage: bool = False

    def choose(self) -> "DirectEndpoint":
        """Return the endpoint to call."""
        return self

    def request(self, body: bytes, payload: Mapping[str, Any], by_name: bool) -> DirectRequest | None:
        """Return what to send for a caller's body, also given decoded; None where MLflow has to look at it.

        `by_name`: the path named the endpoint, so the body must not.
        """
        try:
            self._kind.check(body, strict=True)
        except ValidationError:
            return None
        sent = {name: value for name, value in payload.items() if value is not None}
        if sent.pop("model", None) is not None and by_name:
            return None
        stream = self._kind.streams and sent.get("stream") is True
        hide_usage = False
        if stream and self._asks_for_usage:
            options = sent.get("stream_options")
            hide_usage = options is not None and options.get("include_usage", True) is not True
            sent["stream_options"] = {**(options or {}), "include_usage": True}
        if self._model is not None:
            sent["model"] = self._model
        if b"null" in body and isinstance(messages := sent.get("messages"), list):
            sent["messages"] = [
                {name: value for name, value in message.items() if value is not None} for message in messages
            ]
        try:
            return DirectRequest(self, orjson.dumps(sent), stream, hide_usage, by_name)
        except TypeError:
            return None


class DirectRoute:
    """A traffic route all of whose endpoints need no adapter."""

    has_limit = False

    def __init__(self, endpoints: list[DirectEndpoint], percentages: list[int]) -> None:
        self._endpoints = endpoints
        self._weights = list(accumulate(percentages))

    def choose(self) -> DirectEndpoint:
        """Return the endpoint to call, each as often as its percentage says."""
        return random.choices(self._endpoints, cum_weights=self._weights)[0]  # noqa: S311 - no secret


def direct_endpoints(app: Any) -> Mapping[str, DirectEndpoint | DirectRoute]:
    """Return the endpoints and routes of MLflow's gateway app that need no adapter, by name."""
    if MLFLOW_ENABLE_UC_FUNCTIONS.get():  # type: ignore[no-untyped-call]
        return {}
    found: dict[str, DirectEndpoint | DirectRoute] = {}
    for name, config in app.dynamic_endpoints.items():
        if made := _direct(config):
            found[name] = made
    for name, route in app.traffic_routes.items():
        parts = [
            (part.name, part.traffic_percentage) for part in route.destinations if part.traffic_percentage
        ]
        endpoints = [found.get(part) for part, _ in parts]
        direct = [one for one in endpoints if isinstance(one, DirectEndpoint)]
        if len(direct) == len(parts):
            found[name] = DirectRoute(direct, [percentage for _, percentage in parts])
    return found


def _direct(config: Any) -> DirectEndpoint | None:
    endpoint = Endpoint.of(config)
    kind = _KINDS.get(endpoint.operation)
    if kind is None:
        return None
    provider: Any = get_provider(config.model.provider)(config)
    found = _base_and_rules(provider, endpoint.operation)
    if found is None:
        return None
    base, puts_model, asks_for_usage = found
    url = append_to_uri_path(base, kind.path)  # type: ignore[no-untyped-call]
    if needs_proxy(url):
        return None
    try:
        target = Target(url, provider.headers.items())
    except ValueError:
        return None
    name = str(provider._provider_name)
    return DirectEndpoint(
        endpoint=endpoint,
        target=target,
        answer_key=kind.answer_key,
        signature=b',"provider":' + orjson.dumps(name) if kind.signed else b"",
        has_limit=config.limit is not None,
        _kind=kind,
        _model=config.model.name if puts_model else None,
        _asks_for_usage=asks_for_usage,
    )


def _base_and_rules(provider: Any, operation: str) -> tuple[str, bool, bool] | None:
    """Return the provider's base URL, whether the body names the model, and whether to ask for usage.

    None for a provider that does not speak OpenAI's format, or whose class does more than MLflow's own.
    """
    kind = type(provider)
    if kind is OpenAIProvider and provider.adapter_class is OpenAIAdapter:
        azure = provider.openai_config.openai_api_type in (OpenAIAPIType.AZURE, OpenAIAPIType.AZUREAD)
        return provider.base_url, not azure, True
    if isinstance(provider, OpenAICompatibleProvider):
        unchanged = all(
            getattr(kind, method) is getattr(OpenAICompatibleProvider, method)
            for method in ("_chat", "_chat_stream", "_embeddings")
        )
        if unchanged and operation != "completions" and provider.adapter_class is OpenAICompatibleAdapter:
            return provider._api_base, True, True
    if kind is MistralProvider and operation != "completions":
        # Mistral states its usage in every stream, and refuses to be asked for it.
        return provider.base_url, True, False
    return None


def needs_proxy(url: str) -> bool:
    """Say whether the environment sends calls to this URL through a proxy."""
    where = URL(url)
    return where.scheme in getproxies() and not proxy_bypass(where.authority)
