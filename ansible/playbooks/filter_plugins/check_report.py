"""What playbooks/check.yml shows of a fleet, and what it takes for trouble."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

COLUMNS = ("HOST", "CONTAINER", "STATUS", "VERSION", "CONFIGURATION", "SINCE", "RESTARTS")

Status = dict[str, Any]


def check_report(
    hosts: dict[str, Status], disk_percent: int, certificate_days: int, clock_seconds: int
) -> dict[str, list[str]]:
    """Return `screen` and `trouble` as lines.

    `hosts` maps a host to its `status` (what host_status.py printed; absent where it did not answer), the
    times `before` and `after` it was asked, its `drift`, the `instances` that it is to have, and the
    HTTP status of its load balancer's `health` where it has one.
    """
    hosts = dict(sorted(hosts.items()))
    trouble = [
        f"{host}: {words}"
        for host, known in hosts.items()
        for words in _trouble(known, disk_percent, certificate_days, clock_seconds)
    ]
    rows = [COLUMNS, *(row for host, known in hosts.items() for row in _rows(host, known))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return {
        "screen": [*table, "", *(_summary(host, known) for host, known in hosts.items())],
        "trouble": trouble,
    }


def _rows(host: str, known: Status) -> Iterator[tuple[str, ...]]:
    status = known.get("status")
    for container in (status or {}).get("containers") or []:
        state = container["health"] or container["status"]
        yield (
            host,
            container["name"].removeprefix("llm-gateway-"),
            state,
            container["image"].rpartition(":")[2],
            container["release"] or "-",
            container["since"].replace("T", " "),
            str(container["restarts"]),
        )


def _summary(host: str, known: Status) -> str:
    status = known.get("status")
    if not status:
        return f"{host}: does not answer"
    parts = [f"disk {path} {percent:g} %" for path, percent in status["disks"].items()]
    parts += [f"{name} {days:g} days" for name, days in status["certificates"].items()]
    if status["waiting"] is not None:
        parts.append(f"{len(status['waiting'])} files wait for the store")
    parts.append(f"clock off by {_clock_offset(known):.0f} s")
    if "health" in known:
        parts.append(f"load balancer answers {known['health']}")
    return f"{host}: {', '.join(parts)}"


def _clock_offset(known: Status) -> float:
    """Seconds by which a host's clock surely is off: it was asked between two moments of this machine's."""
    now: float = known["status"]["now"]
    # Whole seconds are known of the two moments.
    return max(known["before"] - now, now - (known["after"] + 1), 0.0)


def _trouble(known: Status, disk_percent: int, certificate_days: int, clock_seconds: int) -> Iterator[str]:
    status = known.get("status")
    if not status:
        yield "does not answer, or has no Python 3"
        return
    if status["containers"] is None:
        yield "no Docker Engine answers"
    present = {container["name"] for container in status["containers"] or []}
    for number in range(1, known.get("instances", 0) + 1):
        if f"llm-gateway-{number}" not in present:
            yield f"llm-gateway-{number} is missing: run site.yml"
    for container in status["containers"] or []:
        state = container["health"] or container["status"]
        if state not in ("healthy", "running"):
            yield f"{container['name']} is {state}: docker logs {container['name']}"
    for unit, state in status["units"].items():
        if state not in ("active", "inactive"):
            yield f"{unit} is {state}: journalctl -u {unit}"
    for path, percent in status["disks"].items():
        if percent > disk_percent:
            yield f"the disk of {path} is {percent:g} % full"
    for name, days in status["certificates"].items():
        if days < certificate_days:
            ends = f"ends in {days:g} days" if days > 0 else "has ended"
            yield f"certificate {name} {ends}: run site.yml, or give a new one"
    if status["waiting"]:
        yield f"{len(status['waiting'])} files of records wait for the store for over ten minutes"
    if (offset := _clock_offset(known)) > clock_seconds:
        yield f"its clock is off by {offset:.0f} s: records get wrong times"
    if known.get("health", 200) != 200:
        yield f"its load balancer answers /health with {known['health']}"
    yield from known.get("drift", [])


class FilterModule:
    """The filter `check_report`."""

    def filters(self) -> dict[str, Any]:
        """Return it by name."""
        return {"check_report": check_report}
