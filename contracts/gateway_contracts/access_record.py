"""The access record: one JSON object per line for every call that passed the load balancer.

It is the second witness: a call whose gateway process died has an access record and no request record.
FIELDS is the whole contract, in the order in which a record is written.
"""

from gateway_contracts.record_field import field

SCHEMA_VERSION = 1

_MANY = "several tries give several values, as nginx writes them: `a, b`"

FIELDS = (
    field("schema_version", "int", "1"),
    field("request_id", "text", "made here, passed on and returned to the caller as `X-Request-ID`"),
    field("received_at", "text", "UTC, RFC 3339, milliseconds", 32),
    field("host", "text", "inventory name of the load balancer's host", 64),
    field("client_address", "text", "the caller", 64),
    field("method", "text", "HTTP method", 32),
    field("path", "text", "path without the query string", 1024),
    field("http_status", "int", "sent to the caller; 499 where the caller left first"),
    field("request_bytes", "int", "request from the caller, headers included"),
    field("response_bytes", "int", "body to the caller"),
    field("duration_ms", "number", "first byte read to last byte sent"),
    field("upstream_address", "text?", f"the gateway that was tried; {_MANY}", 256),
    field("upstream_status", "number or text?", f"what it answered; {_MANY}"),
    field("upstream_connect_ms", "number or text?", f"time to connect to it; {_MANY}"),
    field("upstream_header_ms", "number or text?", f"time to its answer's header; {_MANY}"),
    field("upstream_ms", "number or text?", f"time to its answer's last byte; {_MANY}"),
    field("limited", "bool", "true where the load balancer itself turned the call away"),
)
