"""The table of faults, as it stands in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

from chaos.hosts import Hosts
from chaos.run import Trial

BEGIN = "<!-- Written by {} -->"
END = "<!-- until here -->"
_HEAD = (
    "fault", "times", "calls", "answered", "failed", "cut streams", "at the provider",
    "recorded", "in flight", "no gateway reached", "unexplained", "**lost**", "**doubled**",
)  # fmt: skip


def versions(hosts: Hosts) -> str:
    """What the table was made with."""
    host = hosts.fleet.hosts("gateway")[0]
    found = {
        "gateway": hosts.shell(host, "docker inspect -f '{{.Config.Image}}' llm-gateway-1").split(":")[-1],
        "Fluent Bit": hosts.shell(
            host, "docker inspect -f '{{.Config.Image}}' llm-gateway-log-shipper"
        ).split(":")[-1],
        "nginx": hosts.shell(host, "nginx -v 2>&1").split("/")[-1],
        "Docker Engine": hosts.shell(host, "docker version -f '{{.Server.Version}}'"),
        "Linux": hosts.shell(host, "uname -r"),
    }
    return ", ".join(f"{name} {version.strip()}" for name, version in found.items())


def table(trials: list[Trial], made_with: str) -> str:
    """The whole table, with its date and versions."""
    columns = [_numbers(trial) for trial in trials]
    rows = [*zip([trial.fault.name for trial in trials], columns, strict=True)]
    rows.append(("**all**", [sum(numbers) for numbers in zip(*columns, strict=True)]))
    return "\n".join(
        [
            "| " + " | ".join(_HEAD) + " |",
            "|---" * len(_HEAD) + "|",
            *(
                "| " + " | ".join([name, *(f"{number:,}" for number in numbers)]) + " |"
                for name, numbers in rows
            ),
            "",
            f"{trials[0].since:%Y-%m-%d %H:%M} to {trials[-1].until:%H:%M} UTC; {made_with}.",
        ]
    )


def _numbers(trial: Trial) -> list[int]:
    account = trial.account
    return [
        trial.fault.times, account.calls, account.answered, account.failed, account.cut, account.served,
        account.recorded, account.in_flight, account.before_gateway,
        account.unexplained, account.lost, account.doubled,
    ]  # fmt: skip


def write(page: Path, text: str, author: str = "make chaos") -> None:
    """Put the table into the page, in place of the one that the same command wrote before."""
    begin = BEGIN.format(author)
    before, rest = page.read_text().split(begin)
    _, end, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
