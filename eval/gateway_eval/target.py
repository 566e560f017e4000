"""The host under test: its address, which API it speaks and what it offers, found out by asking, for free."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlsplit

from gateway_eval.failure import CallError, Failure, FailureClass
from gateway_eval.http_client import HttpClient

_MLFLOW_ENDPOINTS = "/api/2.0/endpoints/"
_OPENAI_MODELS = "/v1/models"
_MAX_PAGES = 20

# Models that a list of OpenAI's kind names beside those for chat; it does not say what each is for.
_NOT_FOR_CHAT = (
    "embed",
    "whisper",
    "tts",
    "dall-e",
    "image",
    "moderation",
    "transcribe",
    "davinci",
    "babbage",
    "instruct",
)

# Hosts of providers that do not say in their answers who they are.
_PROVIDER_OF_HOST = {"api.openai.com": "openai"}


class Api(StrEnum):
    """How a host is called."""

    MLFLOW = "mlflow"  # /gateway/NAME/invocations
    OPENAI = "openai"  # /v1/chat/completions with the name as `model`


@dataclass(frozen=True)
class Endpoint:
    """What can be called by name; None where the host does not say."""

    name: str
    kind: str | None = None  # chat, completions, embeddings
    provider: str | None = None
    model: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the endpoint as JSON output has it."""
        return {"name": self.name, "type": self.kind, "provider": self.provider, "model": self.model}


@dataclass(frozen=True)
class Target:
    """A host, the API it speaks and the endpoints it lists."""

    base_url: str
    api: Api
    endpoints: tuple[Endpoint, ...]

    def chat_path(self, endpoint: Endpoint) -> str:
        """Return the path that chat calls to this endpoint go to."""
        if self.api is Api.MLFLOW:
            return f"/gateway/{quote(endpoint.name, safe='')}/invocations"
        return "/v1/chat/completions"

    def choose(self, name: str | None) -> Endpoint:
        """Return the endpoint of this name, without one the default. Raises ValueError as these do."""
        return self.default_endpoint() if name is None else self.endpoint(name)

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of this name, with no more than its name where the host does not list it.

        MLflow does not list its routes, so a name that is not listed may still work. Raises ValueError for an
        endpoint that is listed as something other than chat.
        """
        found = next((endpoint for endpoint in self.endpoints if endpoint.name == name), Endpoint(name))
        if found.kind not in (None, "chat"):
            raise ValueError(
                f"endpoint {name!r} is for {found.kind}; name one for chat: {self._chat_names()}"
            )
        return found

    def default_endpoint(self) -> Endpoint:
        """Return `chat` if listed, else the first chat endpoint. Raises ValueError where none can be told.

        A list of OpenAI's kind does not say what a model is for or costs, so there it has to be the only one.
        """
        candidates = self._chat_endpoints()
        named = next((endpoint for endpoint in candidates if endpoint.name == "chat"), None)
        if named is not None:
            return named
        if not candidates:
            raise ValueError("the host lists no chat endpoint; name one with --endpoint")
        if self.api is Api.OPENAI and len(candidates) > 1:
            raise ValueError(f"the host lists several models; name one with --endpoint: {self._chat_names()}")
        return candidates[0]

    def _chat_endpoints(self) -> list[Endpoint]:
        return [
            endpoint
            for endpoint in self.endpoints
            if endpoint.kind == "chat"
            or (endpoint.kind is None and not any(word in endpoint.name.lower() for word in _NOT_FOR_CHAT))
        ]

    def _chat_names(self) -> str:
        names = [endpoint.name for endpoint in self._chat_endpoints()]
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return ", ".join(names[:20]) + more if names else "none is listed"


def parse_base_url(text: str) -> str:
    """Return the URL that paths are put behind. Raises ValueError with the remedy, never with a password."""
    if "://" not in text:
        raise ValueError(f"the URL begins with http:// or https://, as in http://{text.rpartition('@')[2]}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("this is not a URL; an example: http://10.3.49.202:5000") from error
    if parts.scheme not in ("http", "https") or not host or port == 0 or any(c.isspace() for c in text):
        raise ValueError("this is not a URL of a host; an example: http://10.3.49.202:5000")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "the URL holds credentials; put the key in a variable and name it with --api-key-env"
        )
    if parts.query or parts.fragment:
        raise ValueError("the URL goes without ? and #; a key belongs in a variable that --api-key-env names")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}"


def discover(client: HttpClient, api: Api | None = None) -> Target:
    """Ask a host which API it speaks and what it offers.

    With `api` given, a host that lists nothing is taken at that word. Raises `CallError` where the host does
    not answer, refuses, or speaks neither API.
    """
    target = None
    if api in (None, Api.MLFLOW):
        target = _ask(client, Api.MLFLOW, tolerant=api is not None)
    if target is None and api in (None, Api.OPENAI):
        target = _ask(client, Api.OPENAI, tolerant=api is not None)
    if target is None and api is not None:
        target = Target(client.base_url, api, ())
    if target is None:
        raise CallError(
            Failure.of(
                FailureClass.PROTOCOL,
                f"the host answers, but lists nothing at {_MLFLOW_ENDPOINTS} or {_OPENAI_MODELS}",
                advice="Check the URL; if it is a gateway's, say how to call it with --api and --endpoint.",
                http_status=200,
            )
        )
    return target


# What means "this host does not speak that API", as opposed to "this host has a problem".
_OTHER_API = (FailureClass.NOT_FOUND, FailureClass.PROTOCOL, FailureClass.INVALID_REQUEST)


def _ask(client: HttpClient, api: Api, *, tolerant: bool) -> Target | None:
    try:
        endpoints = _mlflow_endpoints(client) if api is Api.MLFLOW else _openai_models(client)
    except CallError as error:
        if error.failure.failure_class in _OTHER_API or (tolerant and error.failure.http_status is not None):
            return None
        raise
    return None if endpoints is None else Target(client.base_url, api, tuple(endpoints))


def _mlflow_endpoints(client: HttpClient) -> list[Endpoint] | None:
    """Return what MLflow lists, all pages of it; None for an answer of another shape."""
    endpoints: list[Endpoint] = []
    path = _MLFLOW_ENDPOINTS
    for _ in range(_MAX_PAGES):
        body = client.get_json(path)
        listed = body.get("endpoints") if isinstance(body, dict) else None
        if not isinstance(listed, list):
            return None
        for entry in listed:
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                return None
            model = entry.get("model") if isinstance(entry.get("model"), dict) else {}
            kind = str(entry.get("endpoint_type") or "").rpartition("/")[2] or None
            endpoints.append(Endpoint(entry["name"], kind, _text(model, "provider"), _text(model, "name")))
        token = body.get("next_page_token")
        if not token:
            break
        path = f"{_MLFLOW_ENDPOINTS}?page_token={quote(str(token), safe='')}"
    return endpoints


def _openai_models(client: HttpClient) -> list[Endpoint] | None:
    """Return the models of an OpenAI-compatible host; None for an answer of another shape."""
    body = client.get_json(_OPENAI_MODELS)
    listed = body.get("data") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return None
    provider = _PROVIDER_OF_HOST.get(urlsplit(client.base_url).hostname or "")
    names = (_text(entry, "id") for entry in listed)
    return [Endpoint(name, None, provider, name) for name in names if name]


def as_provider(endpoint: Endpoint, provider: str | None) -> Endpoint:
    """Return the endpoint with a provider that the user names, where the host does not."""
    return endpoint if provider is None or endpoint.provider else replace(endpoint, provider=provider)


def _text(entry: Any, key: str) -> str | None:
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) and value else None
