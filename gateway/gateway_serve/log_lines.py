"""This process's own log: one JSON object per line on standard error, without secrets and without content.

Of an exception a line has the type and the places it passed, not the message: messages of validators quote
what they validated, which may be a prompt, a completion or a key.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType

from gunicorn import glogging

_MAX_MESSAGE = 2000
_MAX_FRAMES = 12
_secrets: set[str] = set()


def hide(secrets: Iterable[str]) -> None:
    """Replace these values by *** in every line from now on."""
    # A very short value would turn ordinary words into asterisks, and is no secret.
    _secrets.update(secret for secret in secrets if len(secret) >= 6)


def hidden(text: str) -> str:
    """Return the text without the secrets."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return text


class JsonLines(logging.Formatter):
    """Formats a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        if record.name == "asyncio":
            # What follows is the repr of tasks and exceptions, with whatever these hold.
            message = message.partition("\n")[0]
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": hidden(message.strip())[:_MAX_MESSAGE],
        }
        if request_id := getattr(record, "request_id", None):
            line["request_id"] = request_id
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["frames"] = _frames(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False)


class GunicornLog(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log, and through it uvicorn's, in the same lines."""

    def setup(self, cfg: object) -> None:
        """Set the handlers up as gunicorn does, then give them our format."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines())


def configure() -> None:
    """Send every library's log to standard error as lines of JSON. Call it before MLflow is imported."""
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # Says of every refused call what its request record says too.
    logging.getLogger("slowapi").setLevel(logging.CRITICAL)


def _frames(trace: TracebackType | None) -> list[str]:
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace)[-_MAX_FRAMES:]
    ]
