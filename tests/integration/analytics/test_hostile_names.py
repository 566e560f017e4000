"""What callers and providers chose to send is text, whatever it looks like, in every command and format."""

import csv
import io
import json

import pytest

from support.analytics_store import FAILED, Store, record, run

HOSTILE = (
    "'; DROP TABLE records; --",
    "</script><script>alert(1)</script>",
    "\x1b]0;title\x07\x1b[31mred",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe\N{LEFT-TO-RIGHT MARK}",
    "=HYPERLINK(A1)",
    "| `a` | [b](c)",
    "line\nbreak\r\ttab",
    "😀" * 64,
)
FORBIDDEN = ("\x1b", "\x07", "\r", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{LEFT-TO-RIGHT MARK}")
COMMANDS = (
    ["costs", "--by", "model", "--by", "user"],
    ["requests", "--by", "endpoint", "--by", "host"],
    ["requests", "--list"],
    ["latency", "--by", "user"],
    ["errors"],
    ["keys"],
    ["waste", "--by", "user"],
    ["whatif", "--map", "gpt-4o=gpt-4o-mini", "--since", "2026-01-01", "--by", "user"],
    ["rerate", "--as-of", "2026-11-01", "--all"],
    ["top", "--limit", "99"],
    ["tail", "--limit", "99"],
    ["query", "SELECT end_user, request_model, host FROM costs"],
    ["export", "--focus"],
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("hostile"))
    names = ("request_model", "response_model", "end_user", "api_key_id", "endpoint", "host", "request_id")
    for number, text in enumerate(HOSTILE, start=1):
        fields = dict.fromkeys(names, text) | {"provider_cost_usd": "1.5"}
        store.append([record(number, **fields), record(100 + number, **FAILED | fields)])
    return store


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_hostile_names_are_harmless(store: Store, command: list[str]) -> None:
    outputs = {}
    for form in ("table", "csv", "markdown", "html", "json"):
        result = run(store, *command, "--format", form)
        assert result.exit_code == 0, result.output
        outputs[form] = result.stdout
        # JSON escapes what is not plain; the rest shows it escaped.
        assert not [bad for bad in FORBIDDEN if bad in result.stdout + result.stderr]
    assert "<script" not in outputs["html"]
    assert outputs["html"].count("<tr>") >= len(json.loads(outputs["json"])["rows"])
    rows = json.loads(outputs["json"])["rows"]
    assert rows
    table = list(csv.reader(io.StringIO(outputs["csv"])))
    assert len(table) == len(rows) + 1
    assert not [cell for line in table for cell in line if cell.startswith(("=", "+", "@"))]
    lines = outputs["markdown"].splitlines()
    assert not [line for line in lines if "<script" in line or not line.endswith("|")]
