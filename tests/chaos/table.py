"""The table of faults, as it stands in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

from chaos.faults import FAULTS
from chaos.hosts import Hosts
from chaos.run import Trial

BEGIN = "<!-- Written by {} -->"
END = "<!-- until here -->"
_HEAD = (
    "fault", "begun (UTC)", "times", "calls", "answered", "failed", "cut streams", "at the provider",
    "recorded", "in flight", "no gateway reached", "unexplained", "**lost**", "**doubled**",
)  # fmt: skip
_RUN = "Begun from "
Rows = dict[str, tuple[str, list[int]]]
"""When each fault's trial began, and its numbers."""


def versions(hosts: Hosts) -> str:
    """What the table was made with."""
    host = hosts.fleet.hosts("gateway")[0]
    tools = "grep -om1 'llm-gateway-tools:[^ ]*' /usr/local/bin/gateway-analytics"
    found = {
        "gateway": hosts.shell(host, "docker inspect -f '{{.Config.Image}}' llm-gateway-1").split(":")[-1],
        "analytics": hosts.shell(hosts.store, tools).split(":")[-1],
        "Fluent Bit": hosts.shell(
            hosts.shipping[0], "docker inspect -f '{{.Config.Image}}' llm-gateway-log-shipper"
        ).split(":")[-1],
        "nginx": hosts.shell(host, "nginx -v 2>&1").split("/")[-1],
        "Docker Engine": hosts.shell(host, "docker version -f '{{.Server.Version}}'"),
        "Linux": hosts.shell(host, "uname -r"),
    }
    return ", ".join(f"{name} {version.strip()}" for name, version in found.items())


def table(trials: list[Trial], made_with: str, before: str = "") -> str:
    """The whole table, with the versions of each run.

    Of the table that stood there before, the rows stay of faults that were not tried again.
    """
    new: Rows = {trial.fault.name: (f"{trial.since:%Y-%m-%d %H:%M}", _numbers(trial)) for trial in trials}
    found = _rows(before) | new
    rows = {fault.name: found[fault.name] for fault in FAULTS if fault.name in found}
    runs = _runs(before) | {min(begun for begun, _ in new.values()): made_with}
    sums = [sum(numbers) for numbers in zip(*(numbers for _, numbers in rows.values()), strict=True)]
    return "\n".join(
        [
            _line(*_HEAD),
            "|---" * len(_HEAD) + "|",
            *(_line(name, begun, *_written(numbers)) for name, (begun, numbers) in rows.items()),
            _line("**all**", "", *_written(sums)),
            "",
            *(
                f"- {_RUN}{begun}: {made}."
                for begun, made in runs.items()
                if any(_run_of(row_begun, runs) == begun for row_begun, _ in rows.values())
            ),
        ]
    )


def _numbers(trial: Trial) -> list[int]:
    account = trial.account
    return [
        trial.fault.times, account.calls, account.answered, account.failed, account.cut, account.served,
        account.recorded, account.in_flight, account.before_gateway,
        account.unexplained, account.lost, account.doubled,
    ]  # fmt: skip


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _written(numbers: list[int]) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _rows(text: str) -> Rows:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    return {
        name: (begun, [int(number.replace(",", "")) for number in numbers])
        for name, begun, *numbers in (row for row in cells if len(row) == len(_HEAD))
        if begun[:1].isdigit()
    }


def _runs(text: str) -> dict[str, str]:
    """When each run began, and its versions."""
    lines = [line.partition(_RUN)[2].rstrip(".") for line in text.splitlines() if _RUN in line]
    return {begun: made for begun, _, made in (line.partition(": ") for line in lines)}


def _run_of(begun: str, runs: dict[str, str]) -> str:
    return max((run for run in runs if run <= begun), default="")


def written(page: Path, author: str = "make chaos") -> str:
    """The table of that command, as it stands in the page."""
    return page.read_text().partition(BEGIN.format(author))[2].partition(END)[0]


def write(page: Path, text: str, author: str = "make chaos") -> None:
    """Put the table into the page, in place of the one that the same command wrote before."""
    begin = BEGIN.format(author)
    before, rest = page.read_text().split(begin)
    _, end, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
