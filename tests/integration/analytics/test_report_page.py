"""`gateway-analytics report`: one file, exact data, and names that stay text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from support.analytics_store import Store, ask, record, run

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE records; --",
    "\x1b[31mred\x1b[0m",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "😀" * 60,
    "{data}{script}",
)


class Page(HTMLParser):
    """The elements of a page, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] in ("script", "style"):
            self.texts.append((self.inside[-1], data))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 -- given by the parser
        self.inside = [*self.inside, ""]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def page(store: Store, tmp_path: Path, *arguments: str) -> tuple[str, Page, dict[str, Any]]:
    file = tmp_path / "report.html"
    result = run(store, "report", "-o", str(file), *arguments)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    text = file.read_text(encoding="utf-8")
    parsed = Page(text)
    return text, parsed, json.loads(next(data for tag, data in parsed.texts if data.startswith("{")))


def test_hostile_names_stay_text(store: Store, tmp_path: Path) -> None:
    store.append(
        [
            record(n, response_model=name, request_model=name, api_key_id=name, host=name, end_user=name)
            for n, name in enumerate(HOSTILE, start=1)
        ]
    )
    text, parsed, data = page(store, tmp_path)
    assert [attributes for tag, attributes in parsed.tags if tag == "script"] == [
        {"type": "application/json", "id": "data"},
        {},
    ]
    assert not [tag for tag, _ in parsed.tags if tag in ("img", "link", "iframe")]
    assert "\x1b" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert {"{data}{script}", "<!-- <script>", "'; DROP TABLE records; --"} <= set(data["models"])


def test_the_page_needs_nothing_but_itself_and_lets_nothing_else_in(store: Store, tmp_path: Path) -> None:
    store.append([record(1)])
    text, parsed, _ = page(store, tmp_path)
    assert not re.findall(r"(?:src|href)=|url\(|@import|fetch\(|innerHTML|eval\(", text)
    policy = next(a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for tag, content in parsed.texts:
        if not content.startswith("{"):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy


def test_what_it_shows_adds_up_to_the_costs(store: Store, tmp_path: Path) -> None:
    names = [f"key-{n}" for n in range(20)]
    store.append(
        [
            record(
                n,
                api_key_id=name,
                received_at=f"2026-11-{1 + n % 5:02}T10:00:00.000000Z",
                input_tokens=n * 1000,
            )
            for n, name in enumerate(names, start=1)
        ]
    )
    store.append([record(50, request_model="home-made", response_model=None)])
    budgets = tmp_path / "budgets.yml"
    budgets.write_text('schema_version: 1\nbudgets: [{limit_usd: "5"}]\n')
    _, _, data = page(store, tmp_path, "--budgets", str(budgets))
    costs = ask(store, "costs")["totals"]
    assert data["totals"]["cost_usd"] == costs["cost_usd"]
    columns = list(zip(*data["cube"], strict=True))
    assert sum(columns[3]) == costs["requests"]
    assert sum(columns[5]) == costs["input_tokens"]
    assert sum(columns[7]) == pytest.approx(float(costs["cost_usd"]) * 1e6, abs=len(data["cube"]))
    assert sum(columns[8]) == costs["unpriced_requests"] == 1
    assert len(data["steps"]) == len(data["latency"]) == 5
    assert (len(data["keys"]), data["keys"][-1]) == (12, "other")
    assert data["budgets"][0]["limit_usd"] == "5.00"
    assert {"lines", "records", "disk"} <= {row["check"] for row in data["quality"]}
    assert any("home-made" in warning for warning in data["warnings"])


def test_an_empty_store_makes_a_page(store: Store, tmp_path: Path) -> None:
    _, _, data = page(store, tmp_path)
    assert (data["steps"], data["cube"]) == ([], [])
