"""The request record: one JSON object per line for every call that a caller made of the gateway.

FIELDS is the whole contract, in the order in which a record is written; docs/request-record.md shows the same
table. Readers take a missing field as null and ignore fields they do not know: versions only ever add.
"""

import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway_contracts import record_field
from gateway_contracts.record_field import field

SCHEMA_VERSION = 1

# A write of at most this many bytes to a pipe is never mixed with another process's (PIPE_BUF, pipe(7)).
MAX_LINE_BYTES = 4096

FIELDS = (
    field("schema_version", "int", "1"),
    field("request_id", "text", "`X-Request-ID` from the load balancer, else made here"),
    field("boot_id", "text", "one per worker process", 64),
    field("sequence", "int", "1, 2, 3 ... within `boot_id`; a gap is a lost record"),
    field("attempt", "int", "1, 2 ... within `request_id`; one record per request to a provider"),
    field("final", "bool", "true on the record of what the caller got; exactly one per call"),
    field("received_at", "text", "UTC, RFC 3339, microseconds, `Z`", 32),
    field("host", "text", "inventory name of the host", 64),
    field("instance", "text", "container name", 64),
    field("client_address", "text", "the caller, as the load balancer saw it", 64),
    field("api_key_id", "text?", "id of the key that authenticated the call", 64),
    field("end_user", "text?", "the call's own `user` field", 256),
    field("endpoint", "text?", "endpoint or route in the configuration; null where none was named"),
    field("operation", "text?", "chat, completions, embeddings, messages, responses", 32),
    field("stream", "bool", "whether the caller asked for a stream"),
    field("provider", "text?", "as in the gateway's configuration: openai, anthropic, azure ...", 64),
    field("request_model", "text?", "the model configured on the endpoint that served the call"),
    field("response_model", "text?", "the model that the provider says it used"),
    field("service_tier", "text?", "as the provider states it", 64),
    field("http_status", "int", "sent to the caller; 499 where the caller left first"),
    field(
        "error_class",
        "text?",
        "null on success; invalid_request, authentication, permission, not_found, rate_limit, quota, "
        "timeout, network, provider, gateway, client_disconnect",
        32,
    ),
    field("input_tokens", "int?", "all input tokens, cached and cache-writing ones included"),
    field("cached_input_tokens", "int?", "of those, read from the provider's cache"),
    field("cache_write_tokens", "int?", "of those, written to the provider's cache"),
    field("output_tokens", "int?", "all output tokens, reasoning included"),
    field("reasoning_tokens", "int?", "of those, reasoning"),
    field("input_audio_tokens", "int?", "of the input tokens, audio"),
    field("output_audio_tokens", "int?", "of the output tokens, audio"),
    field("usage_source", "text?", "provider (its own count), partial (stream cut: what was seen), null", 32),
    field("provider_cost_usd", "text?", "decimal, where the provider itself states a cost", 40),
    field("finish_reason", "text?", "of the first choice, in OpenAI's words", 64),
    field("duration_ms", "number", "request received to last byte sent"),
    field("upstream_ms", "number?", "time spent waiting for the provider"),
    field("time_to_first_token_ms", "number?", "streams: to the first chunk with output, reasoning included"),
    field("request_bytes", "int", "body from the caller"),
    field("response_bytes", "int", "body to the caller"),
    field("gateway_version", "text", "version of the gateway that served the call", 64),
    field("config_digest", "text", "first 12 hex digits of its configuration file's SHA-256", 64),
)

_MAX_CHARACTERS = {known.name: known.max_characters for known in FIELDS}

# Only the gateway depends on orjson; the programs that read records write few.
_fast_dumps: Callable[[Any], bytes] | None = (
    importlib.import_module("orjson").dumps if importlib.util.find_spec("orjson") else None
)

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_DUMPS = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(record: Mapping[str, Any]) -> bytes:
    """Return the record as one line of at most MAX_LINE_BYTES bytes of UTF-8 JSON, line feed included.

    What is missing or of the wrong type becomes null. Too long a text is cut and ends in an ellipsis;
    fields that the contract does not name are left out.
    Raises ValueError where a field that may not be null has no valid value.
    """
    values: dict[str, Any] = {}
    for known in FIELDS:
        value = record.get(known.name)
        if not known.accepts(value):
            value = None
        if value is None and not known.nullable:
            raise ValueError(f"the record's {known.name} has no valid value")
        if known.type == "number" and value is not None:
            value = round(value, 3)
        elif known.type == "text" and value is not None and len(value) > known.max_characters:
            value = _cut(value, known.max_characters)
        values[known.name] = value
    line = _line(values)
    while len(line) > MAX_LINE_BYTES:
        # Escapes made it long: a control character takes six bytes. Halve the longest text until it fits.
        texts = [name for name, value in values.items() if isinstance(value, str)]
        longest = max(texts, key=lambda name: len(_DUMPS(values[name])))
        values[longest] = _cut(values[longest], len(values[longest]) // 2)
        line = _line(values)
    return line


def encode_valid(record: Mapping[str, Any]) -> bytes:
    """Return what `encode` returns, in a tenth of the time, for a record that is as the contract says.

    It has all fields in their order, each with a value of the right type and size, and nothing else. Its
    maker answers for that: here only the length of the line is looked at.
    """
    if _fast_dumps is not None:
        try:
            line = _fast_dumps(record) + b"\n"
        except TypeError:  # a lone surrogate
            return encode(record)
        if len(line) <= MAX_LINE_BYTES:
            return line
    return encode(record)


def fitting(name: str, text: str) -> str:
    """Return a text cut to the size of the field with this name."""
    most = _MAX_CHARACTERS[name]
    return text if len(text) <= most else _cut(text, most)


def problem(record: Any) -> str | None:
    """Say what makes a decoded line no valid record of this schema version; None where it is one."""
    return record_field.problem(record, FIELDS, SCHEMA_VERSION)


def _cut(text: str, characters: int) -> str:
    return text[: max(characters - 1, 0)] + _ELLIPSIS


def _line(values: dict[str, Any]) -> bytes:
    # A lone surrogate, which JSON allows as an escape, has no UTF-8 form: it becomes a question mark.
    return _DUMPS(values).encode("utf-8", "replace") + b"\n"
