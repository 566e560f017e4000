"""Endpoints whose calls need no adapter, since caller and provider speak the same format.

Addresses, credentials and the rules for a request's body are asked of MLflow's provider objects, once. What
MLflow would refuse, and whatever is out of the ordinary, is left to MLflow's own app.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import orjson
from mlflow.environment_variables import MLFLOW_ENABLE_UC_FUNCTIONS
from mlflow.gateway.config import OpenAIAPIType
from mlflow.gateway.providers import get_provider
from mlflow.gateway.providers.anthropic import AnthropicProvider
from mlflow.gateway.providers.mistral import MistralProvider
from mlflow.gateway.providers.openai import OpenAIAdapter, OpenAIProvider
from mlflow.gateway.providers.openai_compatible import OpenAICompatibleAdapter, OpenAICompatibleProvider
from mlflow.gateway.schemas import chat, completions, embeddings
from mlflow.utils.uri import append_to_uri_path, append_to_uri_query_params
from pydantic import ValidationError

from gateway_serve.endpoints import Endpoint
from gateway_serve.error_style import ErrorStyle
from gateway_serve.target import Target


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the calls of one operation have in common."""

    path: str
    answer_key: str  # the list without which it is no answer
    schema: Any = None  # MLflow's own of the request, where it has one
    signed: bool = False  # MLflow names the provider in the answer
    streams: bool = True
    style: ErrorStyle = ErrorStyle.MLFLOW

    @property
    def check(self) -> Callable[..., Any] | None:
        """What raises ValidationError for a request that MLflow would refuse or convert."""
        return self.schema.__pydantic_validator__.validate_json if self.schema else None


_KINDS = {
    "chat": _Kind("chat/completions", "choices", chat.RequestPayload, signed=True),
    "completions": _Kind("completions", "choices", completions.RequestPayload),
    "embeddings": _Kind("embeddings", "data", embeddings.RequestPayload, streams=False),
    "responses": _Kind("responses", "output", style=ErrorStyle.OPENAI),
    "messages": _Kind("messages", "content", style=ErrorStyle.ANTHROPIC),
}


class _Rules(NamedTuple):
    """What a provider wants of a request."""

    url: str
    model: str | None  # None: the URL says it
    asks_for_usage: bool = False


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """A request as the provider gets it."""

    endpoint: "DirectEndpoint"
    body: bytes
    stream: bool
    hide_usage: bool = False  # the caller does not want the usage that the provider was asked for
    hide_end: bool = False  # MLflow sends no [DONE]; where the path is OpenAI's, its clients wait for it
    more_headers: bytes = b""


@dataclass(frozen=True, slots=True)
class DirectEndpoint:
    """An endpoint that needs no adapter, for one operation."""

    endpoint: Endpoint
    target: Target
    answer_key: str
    style: ErrorStyle
    signature: bytes  # what MLflow adds to every object that it answers
    has_limit: bool  # one of MLflow's own, which it keeps on its own paths
    _check: Callable[..., Any] | None = field(repr=False)
    _streams: bool
    _rules: _Rules

    @property
    def as_it_is(self) -> bool:
        """Whether requests and errors go through as they are, since MLflow has no words for them."""
        return self.style is not ErrorStyle.MLFLOW

    def choose(self) -> "DirectEndpoint":
        """Return the endpoint to call."""
        return self

    def request(
        self, body: bytes, payload: Mapping[str, Any], by_name: bool, more_headers: bytes = b""
    ) -> DirectRequest | None:
        """Return what to send for a caller's body, also given decoded; None where MLflow has to look at it.

        `by_name`: the path named the endpoint, so the body must not.
        """
        if self.as_it_is:
            sent = {**payload, "model": self._rules.model}
            return DirectRequest(
                self, orjson.dumps(sent), sent.get("stream") is True, more_headers=more_headers
            )
        if self._check is not None:
            try:
                self._check(body, strict=True)
            except ValidationError:
                return None
        sent = {name: value for name, value in payload.items() if value is not None}
        if sent.pop("model", None) is not None and by_name:
            return None
        stream = self._streams and sent.get("stream") is True
        hide_usage = False
        if stream and self._rules.asks_for_usage:
            options = sent.get("stream_options")
            hide_usage = options is not None and options.get("include_usage", True) is not True
            sent["stream_options"] = {**(options or {}), "include_usage": True}
        if self._rules.model is not None:
            sent["model"] = self._rules.model
        if b"null" in body and isinstance(messages := sent.get("messages"), list):
            sent["messages"] = [
                {name: value for name, value in message.items() if value is not None} for message in messages
            ]
        try:
            return DirectRequest(self, orjson.dumps(sent), stream, hide_usage, by_name, more_headers)
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


DirectEndpoints = Mapping[tuple[str, str], DirectEndpoint | DirectRoute]
"""By operation and name."""


def direct_endpoints(app: Any) -> DirectEndpoints:
    """Return the endpoints and routes of MLflow's gateway app that need no adapter, for each operation."""
    found: dict[tuple[str, str], DirectEndpoint | DirectRoute] = {}
    for name, config in app.dynamic_endpoints.items():
        found |= {(operation, name): made for operation, made in _direct(config)}
    for name, route in app.traffic_routes.items():
        parts = [part for part in route.destinations if part.traffic_percentage]
        for operation in _KINDS:
            ends = [found.get((operation, part.name)) for part in parts]
            direct = [one for one in ends if isinstance(one, DirectEndpoint)]
            if direct and len(direct) == len(parts):
                found[operation, name] = DirectRoute(direct, [part.traffic_percentage for part in parts])
    return found


def _direct(config: Any) -> Iterator[tuple[str, DirectEndpoint]]:
    endpoint = Endpoint.of(config)
    provider: Any = get_provider(config.model.provider)(config)
    own = (
        (endpoint.operation, "responses", "messages")
        if endpoint.operation == "chat"
        else (endpoint.operation,)
    )
    for operation in own:
        kind = _KINDS.get(operation)
        rules = _rules(provider, operation, kind.path) if kind else None
        if kind is None or rules is None:
            continue
        try:
            target = Target(rules.url, dict(provider.headers))
        except ValueError:
            continue
        name = str(provider._provider_name)
        yield (
            operation,
            DirectEndpoint(
                endpoint=endpoint,
                target=target,
                answer_key=kind.answer_key,
                style=kind.style,
                signature=b',"provider":' + orjson.dumps(name) if kind.signed else b"",
                has_limit=config.limit is not None,
                _check=kind.check,
                _streams=kind.streams,
                _rules=rules,
            ),
        )


def _rules(provider: Any, operation: str, path: str) -> _Rules | None:
    """Return the rules for an operation.

    None for a provider that does not speak the operation's format, or whose class does more than MLflow's.
    """
    kind = type(provider)
    model = provider.config.model.name
    if operation == "messages":
        return _Rules(_url(provider.base_url, path), model) if kind is AnthropicProvider else None
    if kind is OpenAIProvider and provider.adapter_class is OpenAIAdapter:
        settings = provider.openai_config
        azure = settings.openai_api_type in (OpenAIAPIType.AZURE, OpenAIAPIType.AZUREAD)
        if operation == "responses":
            return _azure_responses(settings, path) if azure else _Rules(_url(provider.base_url, path), model)
        if MLFLOW_ENABLE_UC_FUNCTIONS.get():  # type: ignore[no-untyped-call]
            return None
        return _Rules(_url(provider.base_url, path), None if azure else model, asks_for_usage=True)
    if operation not in ("chat", "embeddings"):
        return None
    if isinstance(provider, OpenAICompatibleProvider) and provider.adapter_class is OpenAICompatibleAdapter:
        unchanged = all(
            getattr(kind, method) is getattr(OpenAICompatibleProvider, method)
            for method in ("_chat", "_chat_stream", "_embeddings")
        )
        return _Rules(_url(provider._api_base, path), model, asks_for_usage=True) if unchanged else None
    if kind is MistralProvider:
        # Mistral states its usage in every stream, and refuses to be asked for it.
        return _Rules(_url(provider.base_url, path), model)
    return None


def _azure_responses(settings: Any, path: str) -> _Rules:
    # Unlike Azure's older operations, this one has the deployment's name in the body.
    # https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/responses
    url = _url(settings.openai_api_base, f"openai/{path}")
    version = ("api-version", settings.openai_api_version)
    url = append_to_uri_query_params(url, version)
    return _Rules(url, settings.openai_deployment_name)


def _url(base: str, path: str) -> str:
    url: str = append_to_uri_path(base, path)  # type: ignore[no-untyped-call]
    return url
