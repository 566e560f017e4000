"""The report as people see it: in a real browser, in the dark, in the light and on a phone.

Pictures of it are left in build/screenshots/.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from support.analytics_store import FAILED, Store, record, run
from support.browser import CHROMIUM, Tab, browser_tab
from support.roles import REPOSITORY

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
MODELS = ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "o3-2025-04-16", "<img src=x onerror=alert(1)>")
FIRST = date(2025, 11, 24)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of calls: every day each model twice, from another key each time, and one that fails."""
    directory = tmp_path_factory.mktemp("page")
    store = Store(directory / "store")
    records = []
    for day in range(365):
        when = FIRST + timedelta(days=day)
        for call in range(9):
            busy = 400 if when.weekday() > 4 else 1000
            fields = {
                "received_at": f"{when}T{8 + call:02}:30:00.000000Z",
                "response_model": MODELS[call % 4],
                "api_key_id": f"team-{(day + call) % 15:02}",
                "input_tokens": busy * 50 + day * 37 * (call % 4),
                "output_tokens": busy + day,
                "duration_ms": 900.0 + 35 * ((day * 7 + call * 13) % 40),
            }
            records.append(record(len(records) + 1, **fields | (FAILED if call == 8 else {})))
    store.append(records)
    budgets = directory / "budgets.yml"
    budgets.write_text('schema_version: 1\nbudgets: [{name: everything, limit_usd: "250.00"}]\n')
    file = directory / "report.html"
    assert run(store, "report", "-o", str(file), "--budgets", str(budgets)).exit_code == 0
    return file


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser_tab() as opened:
        yield opened


def figure(tab: Tab, title: str) -> str:
    """One of the numbers at the top."""
    return str(
        tab.run(
            "[...document.querySelectorAll('.figure')].find((one) =>"
            f" one.querySelector('span').textContent === {title!r}).querySelector('b').textContent"
        )
    )


@pytest.mark.parametrize(
    ("name", "width", "dark"), [("light", 1280, False), ("dark", 1280, True), ("phone", 390, True)]
)
def test_it_fits_the_window_and_its_light(tab: Tab, page: Path, name: str, width: int, dark: bool) -> None:
    tab.look(width, 900, dark=dark)
    tab.open(page)
    tab.screenshot(SCREENSHOTS / f"report-{name}.png")
    assert tab.complaints == []
    assert tab.run("document.documentElement.scrollWidth") <= width
    cut = "[...document.querySelectorAll('.table')].filter((one) => one.scrollWidth > one.clientWidth)"
    assert tab.run(f"{cut}.map((one) => [one.id, one.scrollWidth - one.clientWidth])") == []
    assert tab.run(
        "[...document.querySelectorAll('.chart svg')].every((one) => one.viewBox.baseVal.width <= innerWidth)"
    )
    assert (
        tab.run("Number.parseFloat(getComputedStyle(document.querySelector('.chart text')).fontSize)") >= 11
    )
    background = tab.run("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background.strip("rgb()").split(","))
    assert (brightness < 300) == dark


def test_every_chart_says_what_its_colours_mean(tab: Tab, page: Path) -> None:
    tab.look(1280, 900, dark=False)
    tab.open(page)
    legends = {
        chart: tab.run(
            f"[...document.querySelectorAll('#{chart} .legend span')].map((one) => one.textContent)"
        )
        for chart in ("spend", "calls", "tokens", "latency")
    }
    assert set(legends.pop("spend")) == set(MODELS) | {"gpt-4o"}
    assert legends == {
        "calls": ["answered", "failed"],
        "tokens": ["input", "output"],
        "latency": ["p50", "p90", "p99"],
    }


def test_filters_and_hints_follow_the_hand(tab: Tab, page: Path) -> None:
    tab.look(1280, 900, dark=False)
    tab.open(page)
    assert figure(tab, "calls") == "3,285"
    tab.run(
        "(() => { const filter = document.getElementById('filter-model');"
        " filter.value = [...filter.options].find((one) => one.text.startsWith('<img')).value;"
        " filter.dispatchEvent(new Event('change')); })()"
    )
    assert figure(tab, "calls") == "730"
    assert figure(tab, "spent") == "unpriced" or figure(tab, "attempts without a price") == "0"
    place = tab.run("(() => { const r = document.querySelector('#calls .hover').getBoundingClientRect();"
                    " scrollTo(0, r.top + scrollY - 300);"
                    " const at = document.querySelector('#calls .hover').getBoundingClientRect();"
                    " return [at.left + at.width / 2, at.top + at.height / 2]; })()")  # fmt: skip
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    assert tab.run("document.getElementById('tip').hidden") is False
    assert tab.run("document.getElementById('tip').textContent") == f"{FIRST}\n2 calls\n0 failed"
    assert tab.complaints == []
