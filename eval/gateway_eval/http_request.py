"""A case's own HTTP request: any path, any content, as a library or a careless caller would send it."""

import json
from typing import Any
from urllib.parse import quote

from gateway_eval.cases import HttpRequest
from gateway_eval.chat import ChatOutcome, note_body, note_head
from gateway_eval.failure import CallError, from_answer
from gateway_eval.http_client import Answer, HttpClient
from gateway_eval.sse import events
from gateway_eval.target import Endpoint, Target

_WRONG_KEY = "sk-no-such-key-of-gateway-eval"
_OPERATIONS = {
    "/invocations": "chat",
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/responses": "responses",
    "/messages": "messages",
}


def send(client: HttpClient, target: Target, endpoint: Endpoint | None, request: HttpRequest) -> ChatOutcome:
    """Make the request, once. Its outcome has the body's text as output, whatever the status.

    A status from 300 on is the outcome's failure; nothing is raised for it.
    """
    path = _path(request, target, endpoint)
    outcome = ChatOutcome(stream=False, operation=_operation(request, path))
    try:
        with _keyed(client, request).call(
            request.method,
            path,
            _filled(request.body, endpoint),
            content=None if request.text is None else request.text.encode(),
        ) as answer:
            note_head(outcome, answer)
            try:
                outcome.output = answer.text()
            finally:
                outcome.duration_ms = round(answer.elapsed_ms(), 1)
            body = _decoded(outcome.output)
            for part in _parts(answer, outcome.output, body):
                note_body(outcome, part)
            if answer.status >= 300:
                raise CallError(from_answer(answer.status, answer.headers, body))
    except CallError as error:
        outcome.failure = error.failure
    return outcome


def _keyed(client: HttpClient, request: HttpRequest) -> HttpClient:
    if request.api_key == "given":
        return client
    return client.with_key(_WRONG_KEY if request.api_key == "wrong" else None)


def _path(request: HttpRequest, target: Target, endpoint: Endpoint | None) -> str:
    path = request.path
    if endpoint is not None:
        path = path.replace("{chat_path}", target.chat_path(endpoint))
        path = path.replace("{endpoint}", quote(endpoint.name, safe=""))
    return path


def _operation(request: HttpRequest, path: str) -> str | None:
    """Return what a path asks a model for; None for a call that asks no model, and so costs nothing."""
    if request.method != "POST":
        return None
    return next((operation for end, operation in _OPERATIONS.items() if path.endswith(end)), None)


def _filled(body: Any, endpoint: Endpoint | None) -> Any:
    """Return a body with the endpoint's name in its place."""
    if endpoint is None:
        return body
    if isinstance(body, str):
        return body.replace("{endpoint}", endpoint.name)
    if isinstance(body, dict):
        return {key: _filled(value, endpoint) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled(item, endpoint) for item in body]
    return body


def _parts(answer: Answer, text: str, body: Any) -> list[dict[str, Any]]:
    """Return the objects that state usage and the like: the body, or the events of a stream."""
    streamed = "text/event-stream" in answer.headers.get("content-type", "")
    found = [_decoded(event) for event in events([text.encode()])] if streamed else [body]
    return [part for part in found if isinstance(part, dict)]


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
