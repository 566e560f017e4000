"""What the dashboard shows and the alerts watch is there, in a real Prometheus that scrapes real programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from support.fleet import wait_until
from support.monitoring import FILES, Watched, missing_programs, watched

pytestmark = pytest.mark.skipif(
    bool(missing_programs()), reason=f"not on this machine: {', '.join(missing_programs())}"
)

DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in DASHBOARD["panels"]}
ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
METRIC = re.compile(r"\b(?:up\b|(?:(?:llm_)?gateway|fluentbit|node|nginx|probe)_\w+)")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("monitoring")) as running:
        yield running


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_shows_something(fleet: Watched, title: str) -> None:
    for expression in PANELS[title]:
        now = expression.replace("$__rate_interval", "1m").replace("$__range", "1m")

        def shown(now: str = now) -> bool:
            if found := fleet.query(now):
                return bool(found)
            fleet.call()  # a rate needs calls between two scrapes
            return False

        wait_until(shown, 60, f"data for {now}")


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_watches_what_is_there(fleet: Watched, alert: str) -> None:
    names = set(METRIC.findall(ALERTS[alert]))
    assert names
    fleet.call()
    wait_until(lambda: names <= fleet.metrics(), 30, f"{names - fleet.metrics()} of {alert}")


def test_nothing_is_on_fire_where_all_is_well(fleet: Watched) -> None:
    assert fleet.query("ALERTS{alertstate='firing', alertname!~'Disk.*|CertificateEnd.*'}") == []


def test_panels_have_places_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in DASHBOARD["panels"]})
