"""Calls as they arrive in a store's incoming files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway_contracts.request_record import problem

# What a filter is compared with; an empty value stands for none.
_FILTERED = {
    "model": ("response_model", "request_model"),
    "provider": ("provider",),
    "endpoint": ("endpoint",),
    "api_key": ("api_key_id",),
    "user": ("end_user",),
    "host": ("host",),
}


class Follower:
    """Reads what is appended to the files of a directory from now on, file by file, whole lines only."""

    def __init__(self, directory: Path) -> None:
        """Begin at the present ends of the files."""
        self.directory = directory
        self._ends = {path: path.stat().st_size for path in self._files()}

    def _files(self) -> list[Path]:
        return sorted(p for p in self.directory.glob("*.jsonl") if not p.name.startswith("."))

    def records(self) -> Iterator[dict[str, Any]]:
        """Every valid record that was appended since the last time."""
        for path in self._files():
            start = self._ends.get(path, 0)
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read()
            except OSError:  # compacted meanwhile
                continue
            whole = data[: data.rfind(b"\n") + 1]
            self._ends[path] = start + len(whole)
            for line in whole.splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if problem(record) is None:
                    yield record


def matches(record: Mapping[str, Any], filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a record passes the filters that every read command has."""
    for name, values in filters.items():
        if not values:
            continue
        if name == "status":
            status = str(record["http_status"])
            found = {status, f"{status[0]}xx"}
        else:
            found = {record.get(field) or "" for field in _FILTERED[name]}
        if not found & set(values):
            return False
    return True
