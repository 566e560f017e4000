"""The forms in which a caller is told of an error that is the gateway's own, by the API that it called."""

from enum import Enum
from typing import Any

import orjson

_ERROR_TYPES = {404: "not_found_error", 429: "rate_limit_error", 504: "timeout_error"}


class ErrorStyle(Enum):
    """Whose clients will read an error."""

    MLFLOW = "mlflow"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"

    def body(self, status: int, detail: Any) -> bytes:
        """Return the body of an error; `detail` is text, or JSON of any kind where MLflow made it."""
        if self is ErrorStyle.MLFLOW:
            return orjson.dumps({"detail": detail})
        message = _text(detail)
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        if self is ErrorStyle.ANTHROPIC:
            # https://docs.anthropic.com/en/api/errors
            return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}})
        # https://platform.openai.com/docs/guides/error-codes
        return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": None}})

    def event(self, status: int, detail: Any) -> bytes:
        """Return the event that tells a stream's reader that the stream failed."""
        message = _text(detail)
        if self is ErrorStyle.ANTHROPIC:
            return b"event: error\ndata: " + self.body(status, message) + b"\n\n"
        if self is ErrorStyle.OPENAI:
            # https://platform.openai.com/docs/api-reference/responses-streaming/error
            about: dict[str, Any] = {"type": "error", "code": str(status), "message": message, "param": None}
            return b"event: error\ndata: " + orjson.dumps(about) + b"\n\n"
        # As OpenAI sends one in a stream of a chat.
        about = {"error": {"message": message, "type": "stream_error", "code": status}}
        return b"data: " + orjson.dumps(about) + b"\n\n"


def _text(detail: Any) -> str:
    return detail if isinstance(detail, str) else orjson.dumps(detail).decode()
