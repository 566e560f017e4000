"""The paths of LLM calls: which operation they name, and how their callers are told of errors."""

import re
from typing import NamedTuple

from gateway_serve.error_style import ErrorStyle


class CallPath(NamedTuple):
    """What the path of a call names: its operation, with the endpoint in the body, or the endpoint."""

    operation: str | None
    endpoint: str | None = None
    style: ErrorStyle = ErrorStyle.MLFLOW

    @property
    def is_mlflows(self) -> bool:
        """Whether MLflow's app has this path too."""
        return self.style is ErrorStyle.MLFLOW


_BY_MODEL = {
    "/v1/chat/completions": CallPath("chat"),
    "/v1/completions": CallPath("completions"),
    "/v1/embeddings": CallPath("embeddings"),
    "/v1/responses": CallPath("responses", style=ErrorStyle.OPENAI),
    "/v1/messages": CallPath("messages", style=ErrorStyle.ANTHROPIC),
}
_BY_NAME = re.compile(r"/(?:gateway|endpoints)/([^/]+)/invocations")


def call_path(path: str) -> CallPath | None:
    """Return what the path of a POST names; None where it is no LLM call."""
    if found := _BY_MODEL.get(path):
        return found
    if match := _BY_NAME.fullmatch(path):
        return CallPath(None, match[1])
    return None
