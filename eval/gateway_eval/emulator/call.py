"""What a parsed call is to the server: the bytes to send, whole or event by event.

A call is a function of its request, so it is parsed and worded once and kept for the next equal request; only
the id and the time differ from one to the next.
"""

import json
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any, ClassVar, Protocol

from gateway_eval.emulator.answer import Usage
from gateway_eval.emulator.directives import Directives
from gateway_eval.emulator.errors import Dialect, ProviderError, invalid

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Call(Protocol):
    """A call that can be answered."""

    id_prefix: ClassVar[bytes]
    dialect: Dialect
    model: str
    """As the caller named it."""
    stream: bool
    usage: Usage
    directives: Directives

    def whole(self, answer_id: bytes, created: bytes) -> bytes:
        """Return the JSON body of the whole answer; `created` is Unix seconds in digits."""

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield the server-sent events, each with the number of output tokens that it carries."""

    def error_event(self, error: ProviderError, request_id: str, number: int) -> bytes:  # noqa: ARG002
        """Return the event that ends a stream with an error; `number` events were sent before it."""
        return b"data: " + error.body(self.dialect, request_id) + b"\n\n"


def encode(value: Any) -> bytes:
    """Return compact JSON. A lone surrogate, which JSON may escape but UTF-8 cannot hold, becomes `?`."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


def encode_text(text: str) -> bytes:
    """Return a text as JSON; several times as fast as `encode`."""
    return encode_basestring(text).encode("utf-8", "replace")


def decode(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request's body. Raises ProviderError (400) where it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
            "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
            "valid JSON.)",
        )
    return value


def whole_number(body: dict[str, Any], name: str, low: int = 1, high: int = 10_000_000) -> int | None:
    """Return an optional integer of the request. Raises ProviderError (400) where it is something else."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(
            f"Invalid type for '{name}': expected an integer, but got {_json_type(value)} instead.",
            name,
            "invalid_type",
        )
    if not low <= value <= high:
        side, bound, sign = ("below minimum", low, ">=") if value < low else ("above maximum", high, "<=")
        raise invalid(
            f"Invalid '{name}': integer {side} value. Expected a value {sign} {bound}, but got {value} "
            "instead.",
            name,
            f"integer_{side.replace(' ', '_')}_value",
        )
    return value


def stop_list(value: Any) -> list[str]:
    """Return the stop sequences of a request: null, a string or a list of strings."""
    if isinstance(value, str):
        return [value] if value else []
    return [stop for stop in value if isinstance(stop, str) and stop] if isinstance(value, list) else []


def text_field(body: dict[str, Any], name: str) -> str:
    """Return a text that the request must have. Raises ProviderError (400) where it is missing."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        if name == "model":
            raise invalid("you must provide a model parameter")
        raise missing(name)
    return value


def missing(name: str) -> ProviderError:
    """Return the 400 for a field that is not there."""
    return invalid(
        f"Missing required parameter: '{name}'.",
        name,
        "missing_required_parameter",
    )


def _json_type(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case float():
            return "a decimal number"
        case list():
            return "an array"
        case _:
            return "an object"
