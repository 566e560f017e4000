#!/usr/bin/env python3
"""Compare what an evaluation called with what the store holds: every call once, at the same cost.

Usage: account.py RESULTS SINCE COMMAND...

RESULTS is the results file of `gateway-eval run`, SINCE the time (RFC 3339) after which only it called,
COMMAND what runs `gateway-analytics` on the store. Waits up to 30 s for records that are still on their way.
Exit code: 0 they agree, 1 they do not.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

ARRIVAL_S = 30


def ask(command: list[str], *arguments: str) -> dict[str, Any]:
    """Return the JSON answer of a gateway-analytics command."""
    done = subprocess.run([*command, *arguments, "--format", "json"], check=True, stdout=subprocess.PIPE)  # noqa: S603
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def stored_calls(command: list[str], since: str) -> Counter[str]:
    """Return the request ids in the store, each with how often it is there."""
    rows = ask(command, "requests", "--list", "--limit", "100000", "--since", since)["rows"]
    return Counter(row["request_id"] for row in rows)


def main(results_file: str, since: str, *command: str) -> int:
    """Say whether the results and the store agree."""
    results = json.loads(Path(results_file).read_text())
    called = Counter(turn["request_id"] for case in results["cases"] for turn in case["turns"])
    deadline = time.monotonic() + ARRIVAL_S
    while (stored := stored_calls(list(command), since)) != called and time.monotonic() < deadline:
        time.sleep(0.5)
    billed = Decimal(ask(list(command), "costs", "--since", since)["totals"]["cost_usd"])
    expected = Decimal(results["summary"]["cost_usd"])
    lost, more = called - stored, stored - called
    report = (
        f"calls made {called.total()}, in the store {stored.total()}: "
        f"lost {lost.total()}, doubled or unknown {more.total()}\n"
        f"their cost as the caller works it out ${expected}, as the store says ${billed}\n"
    )
    sys.stdout.write(report)
    return 0 if not lost and not more and billed == expected else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
