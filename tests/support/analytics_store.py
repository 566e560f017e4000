"""Stores to query, and gateway-analytics run on them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
from click.testing import CliRunner, Result

from gateway_analytics.cli import gateway_analytics
from gateway_contracts.request_record import FIELDS, encode

_DEFAULTS: dict[str, Any] = {
    "schema_version": 1,
    "boot_id": "boot-1",
    "attempt": 1,
    "final": True,
    "received_at": "2026-11-02T10:00:00.000000Z",
    "host": "gateway-1",
    "instance": "llm-gateway-1",
    "client_address": "192.0.2.7",
    "endpoint": "chat",
    "operation": "chat",
    "stream": False,
    "provider": "openai",
    "request_model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06",
    "http_status": 200,
    "input_tokens": 1000,
    "output_tokens": 100,
    "usage_source": "provider",
    "duration_ms": 100.0,
    "upstream_ms": 90.0,
    "request_bytes": 200,
    "response_bytes": 300,
    "gateway_version": "0.1.0",
    "config_digest": "0123456789ab",
}
_ACCESS_DEFAULTS: dict[str, Any] = {
    "schema_version": 1,
    "received_at": "2026-11-02T10:00:00.000Z",
    "host": "gateway-1",
    "client_address": "192.0.2.7",
    "method": "POST",
    "path": "/v1/chat/completions",
    "http_status": 200,
    "request_bytes": 400,
    "response_bytes": 300,
    "duration_ms": 101.0,
    "upstream_address": "10.0.0.1:5101",
    "upstream_status": "200",
    "upstream_connect_ms": "0.1",
    "upstream_header_ms": "90",
    "upstream_ms": "100",
    "limited": False,
}
FAILED = {
    "http_status": 429,
    "error_class": "rate_limit",
    "response_model": None,
    "input_tokens": None,
    "output_tokens": None,
    "usage_source": None,
}


def record(sequence: int, **fields: Any) -> dict[str, Any]:
    """A request record: an ordinary gpt-4o call with these fields changed."""
    return _DEFAULTS | {"sequence": sequence, "request_id": f"request-{sequence:04}"} | fields


def access_record(request_id: str, **fields: Any) -> dict[str, Any]:
    """An access record: an ordinary call with these fields changed."""
    return _ACCESS_DEFAULTS | {"request_id": request_id} | fields


class Store:
    """A log store in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.incoming = path / "incoming" / "requests"
        self.incoming.mkdir(parents=True, exist_ok=True)

    def append(self, records: Iterable[Mapping[str, Any]], name: str = "a.jsonl") -> Path:
        """Append records to an incoming file, as gateways do."""
        return self.append_bytes(b"".join(encode(r) for r in records), name)

    def append_bytes(self, lines: bytes, name: str = "a.jsonl") -> Path:
        """Append anything to an incoming file."""
        path = self.incoming / name
        with path.open("ab") as file:
            file.write(lines)
        return path

    def append_access(self, records: Iterable[Mapping[str, Any]], name: str = "a.jsonl") -> Path:
        """Append access records to an incoming file, as load balancers do."""
        path = self.path / "incoming" / "access" / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in records)
        return path

    def compact(self, records: Iterable[Mapping[str, Any]], name: str = "part.parquet") -> None:
        """Write records to the partitions of their UTC dates."""
        days: dict[str, list[Mapping[str, Any]]] = {}
        for one in records:
            days.setdefault(one["received_at"][:10], []).append(one)
        types = {"int": "BIGINT", "text": "VARCHAR", "bool": "BOOLEAN", "number": "DOUBLE"}
        columns = ", ".join(f"{f.name}: '{types[f.type]}'" for f in FIELDS)
        for day, some in days.items():
            partition = self.path / "requests" / f"date={day}"
            partition.mkdir(parents=True, exist_ok=True)
            lines = self.path / "lines.tmp"
            lines.write_bytes(b"".join(encode(r) for r in some))
            duckdb.sql(
                f"COPY (SELECT * REPLACE (CAST(received_at AS TIMESTAMPTZ) AS received_at)"
                f" FROM read_json('{lines}', columns = {{{columns}}}, format = 'newline_delimited'))"
                f" TO '{partition / name}' (FORMAT parquet, COMPRESSION zstd)"
            )
            lines.unlink()


def run(store: Store | Path | None, *arguments: str) -> Result:
    """Run gateway-analytics; the result has its exit code, standard output and standard error."""
    path = store.path if isinstance(store, Store) else store
    at = ["--store", str(path)] if path is not None else []
    return CliRunner().invoke(gateway_analytics, [arguments[0], *at, *arguments[1:]])


def ask(store: Store | Path | None, *arguments: str) -> Any:
    """Run a command that must succeed; return its JSON."""
    result = run(store, *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows_by(answer: Mapping[str, Any], *names: str) -> dict[Any, dict[str, Any]]:
    """An answer's rows by the values of these columns."""
    return {row[names[0]] if len(names) == 1 else tuple(row[n] for n in names): row for row in answer["rows"]}
