"""The least that a gateway knows of every call, as a request record has it."""

from typing import Any

RECORD: dict[str, Any] = {
    "request_id": "r-1",
    "attempt": 1,
    "final": True,
    "received_at": "2026-01-02T03:04:05.000006Z",
    "client_address": "192.0.2.7",
    "stream": False,
    "http_status": 200,
    "duration_ms": 1.5,
    "request_bytes": 10,
    "response_bytes": 20,
}
IDENTITY = {"gateway_version": "1.2.3", "config_digest": "0123456789ab"}
