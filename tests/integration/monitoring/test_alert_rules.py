"""Alerts come when they should, as promtool plays them through."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.monitoring import FILES

CASES = Path(__file__).parent / "alerts_test.yml"


@pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool (package prometheus) is not on this machine"
)
def test_alerts_come_when_they_should(tmp_path: Path) -> None:
    for file in (FILES / "alerts.yml", CASES):
        shutil.copy(file, tmp_path)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", CASES.name]):
        done = subprocess.run(
            ["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_played_through_and_explained() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", (FILES / "alerts.yml").read_text()))
    played = re.findall(r"alertname: (\w+)\n\s+exp_alerts:", CASES.read_text())
    assert alerts == set(played)
    page = (FILES.parents[2] / "docs/monitoring.md").read_text()
    assert {alert for alert in alerts if f"`{alert}`" in page} == alerts
