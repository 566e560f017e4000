"""The program as it is started: help, examples, files, pipes and exit codes."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway_analytics.cli import gateway_analytics
from gateway_analytics.price_catalog import USUAL_PROVIDERS, open_catalog
from support.analytics_store import Store, ask, record, run

# What the examples read.
FILES = {
    "prices.yml": "schema_version: 1\nprices: []\n",
    "bill.csv": "date,model,cost\n2026-11-02,model-1,0.05\n",
    "budgets.yml": 'schema_version: 1\nbudgets: [{limit_usd: "500.00"}]\n',
    **{f"catalog/{provider}.json": '{"schema_version": "1.0", "models": {}}' for provider in USUAL_PROVIDERS},
}
PROGRAM = str(Path(sys.executable).with_name("gateway-analytics"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.append([record(n, request_model=f"model-{n}", response_model=None) for n in range(1, 4)])
    return store


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def test_alone_it_shows_what_there_is() -> None:
    result = start()
    assert result.returncode == 2
    assert "costs" in result.stderr


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    """Every command, those of groups included."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        yield (*before, name)
        if isinstance(found, click.Group):
            yield from commands(found, *before, name)


@pytest.mark.parametrize("command", list(commands(gateway_analytics)), ids=" ".join)
def test_the_example_in_every_help_runs(
    store: Store, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run(None, *command, "--help").stdout
    example = re.search(r"Example:\s+gateway-analytics (.*)", text, re.DOTALL)
    assert example
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gateway_analytics.price_catalog._installed", lambda: open_catalog(Path("catalog")))
    arguments = [str(store.path) if part == "/srv/store" else part for part in shlex.split(example[1])]
    result = run(None, *arguments)
    # A check may find something in the few calls of this store.
    assert result.exit_code in (0, 1), result.output
    assert result.stdout or (tmp_path / arguments[arguments.index("-o") + 1]).stat().st_size


def test_help_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys\nfrom gateway_analytics.cli import main\n"
        "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    for arguments in (["--help"], ["costs", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert not {"duckdb", "rich", "yaml", "numpy"} & set(done.stderr.split())


def test_the_environment_names_the_store(store: Store) -> None:
    result = start("requests", "--format", "csv", GATEWAY_ANALYTICS_STORE=str(store.path))
    assert (result.returncode, result.stdout.splitlines()[1][:2]) == (0, "3,")


def test_a_mistyped_option_is_a_usage_error(store: Store) -> None:
    result = start("costs", "--store", str(store.path), "--formt", "json")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--format" in result.stderr


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.csv", "model,"), ("a.json", "{"), ("a.md", "| model"), ("a.html", "<!doctype html>"), ("a", " ")],
)
def test_a_file_gets_the_format_of_its_name(store: Store, tmp_path: Path, name: str, begins: str) -> None:
    result = run(store, "costs", "--by", "model", "-o", str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / name).read_text().startswith(begins)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_cannot_be_written_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "full.csv").mkdir()
    for asked, name in ((store, "full.csv"), (tmp_path / "no store: it is not read first", "none/a.csv")):
        result = run(asked, "costs", "-o", str(tmp_path / name))
        assert result.exit_code == 2
        assert f"{name} cannot be written" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"full.csv", store.path.name}


def test_data_goes_to_standard_output_and_nothing_else_does(store: Store) -> None:
    result = run(store, "costs", "--by", "model", "--format", "csv")
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == [
        "model",
        "model-1",
        "model-2",
        "model-3",
    ]
    assert result.stderr.count("warning: 1 unpriced request of openai model-") == 3


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.quote(PROGRAM)} prices --format csv | head -n 1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_its_own_code(tmp_path: Path, sent: signal.Signals) -> None:
    pipe = tmp_path / "results.json"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [PROGRAM, "costs", "--results", str(pipe)], stderr=subprocess.PIPE, text=True
    ) as process:
        with pipe.open("w"):  # it has opened the file and waits for more
            process.send_signal(sent)
            assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == "interrupted"


def test_a_bug_is_told_from_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gateway_analytics import cli

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway_analytics, "main", broken)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_compaction_at_the_same_moment_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Files move from incoming to Parquet while they are counted, again and again."""
    store = Store(tmp_path / "store")
    parts = [[record(n, boot_id=f"boot-{part}") for n in range(1, 51)] for part in range(12)]
    for number, part in enumerate(parts):
        store.append(part, f"{number}.jsonl")
    counted: list[int] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set() or not counted:
            counted.append(ask(store, "requests")["totals"]["requests"])

    reader = threading.Thread(target=count)
    reader.start()
    try:
        for number, part in enumerate(parts):
            target = f"{number}.parquet"
            store.compact(part, "." + target)
            partition = store.path / "requests" / "date=2026-11-02"
            (partition / ("." + target)).rename(partition / target)
            seen = len(counted)
            (store.incoming / f"{number}.jsonl").unlink()
            deadline = time.monotonic() + 60
            while len(counted) == seen and time.monotonic() < deadline and reader.is_alive():
                time.sleep(0.005)
    finally:
        done.set()
        reader.join(60)
    assert set(counted) == {600}
