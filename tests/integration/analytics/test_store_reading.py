"""Stores as they really are: twice delivered, half written, broken, empty, gone."""

import json
import os
from pathlib import Path

import pytest

from gateway_contracts.request_record import encode
from support.analytics_store import Store, ask, record, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def settle(path: Path) -> None:
    """Make a file look as if nobody had written to it for an hour."""
    then = path.stat().st_mtime - 3600
    os.utime(path, (then, then))


def requests(store: Store) -> int:
    count: int = ask(store, "requests")["totals"]["requests"]
    return count


def test_incoming_and_parquet_are_read_together_each_record_once(store: Store) -> None:
    records = [record(n, received_at=f"2026-11-{1 + n // 40:02}T10:00:00.{n:06}Z") for n in range(1, 101)]
    store.compact(records[:60])
    store.append(records[30:80], "a.jsonl")
    store.append(records[70:], "b.jsonl")
    store.append(records[70:90], "c.jsonl")
    for command in ("requests", "costs"):
        totals = ask(store, command, "--by", "day")["totals"]
        assert (totals["requests"], totals["input_tokens"]) == (100, 100_000)
    in_range = ask(store, "requests", "--since", "2026-11-02", "--until", "2026-11-02")
    assert in_range["totals"]["requests"] == 40


def test_the_same_sequence_of_two_processes_is_two_records(store: Store) -> None:
    store.append([record(1), record(1, boot_id="boot-2"), record(1)])
    assert requests(store) == 2


def test_parquet_alone_and_with_older_columns(store: Store) -> None:
    import duckdb

    store.compact([record(1)], "new.parquet")
    partition = store.path / "requests" / "date=2026-11-02"
    duckdb.sql(
        f"COPY (SELECT * EXCLUDE (end_user, time_to_first_token_ms) REPLACE (2 AS sequence)"
        f" FROM '{partition / 'new.parquet'}') TO '{partition / 'old.parquet'}'"
    )
    assert requests(store) == 2
    assert ask(store, "costs", "--by", "user")["rows"][0]["cost_usd"] == "0.007"


BROKEN = [
    encode(record(2))[:300],
    b"garbage",
    b'{"half":',
    b"[1, 2]",
    b"null",
    b"\x00\x00\x00\x00",
    b'{"boot_id": "\xff\xfe", "sequence": 1}',
    b"{}",
    encode(record(3)).replace(b'"boot_id":"boot-1"', b'"boot_id":null').strip(),
    encode(record(4)).replace(b"2026-11-02T10:00:00.000000Z", b"yesterday").strip(),
    b'{"schema_version":1,"sequence":5' + encode(record(5)).strip(),
]


@pytest.mark.parametrize("still_written", [False, True])
def test_broken_lines_are_counted_and_stop_nothing(store: Store, still_written: bool) -> None:
    path = store.append_bytes(
        encode(record(1)) + b"".join(line + b"\n" for line in BROKEN) + encode(record(7))
    )
    if not still_written:
        settle(path)
    answer = ask(store, "costs")
    # A record that follows a cut one on its line counts, as it comes when the store's writer was killed.
    assert answer["totals"]["requests"] == 3
    assert answer["warnings"] == [
        f"not counted: {len(BROKEN)} lines without a valid record, in 1 incoming file (first: a.jsonl)"
    ]


def test_a_line_that_is_being_written_is_no_broken_line(store: Store) -> None:
    path = store.append_bytes(encode(record(1)) + encode(record(2))[:100])
    answer = ask(store, "requests")
    assert (answer["totals"]["requests"], answer["warnings"]) == (1, [])
    settle(path)
    assert len(ask(store, "requests")["warnings"]) == 1, "an hour later nobody finishes it"
    store.append_bytes(encode(record(2))[100:])
    assert requests(store) == 2


def test_a_wrong_line_is_told_from_the_one_that_is_being_written(store: Store) -> None:
    wrong = encode(record(2)).replace(b'"input_tokens":1000', b'"input_tokens":"1000"')
    store.append_bytes(encode(record(1)) + wrong + encode(record(3)).strip())
    answer = ask(store, "requests")
    assert answer["totals"]["input_tokens"] == 1000 * answer["totals"]["requests"]
    assert answer["warnings"][0].startswith("not counted: 1 line without a valid record")


def test_records_of_a_later_version_are_named(store: Store) -> None:
    later = json.loads(encode(record(2))) | {"schema_version": 2, "colour": "blue"}
    store.append_bytes(json.dumps(later).encode() + b"\n")
    alone = run(store, "costs")
    assert alone.exit_code == 2
    assert "schema_version above 1" in alone.stderr
    store.append([record(1)])
    answer = ask(store, "costs")
    assert answer["totals"]["requests"] == 1
    assert answer["warnings"] == [
        "not counted: 1 record of a schema_version above 1; use the gateway-analytics of that version"
    ]


@pytest.mark.parametrize("command", ["costs", "requests"])
@pytest.mark.parametrize("by", [[], ["--by", "model"]])
def test_an_empty_store_is_an_answer(store: Store, command: str, by: list[str]) -> None:
    answer = ask(store, command, *by)
    assert answer["totals"]["requests"] == 0
    assert answer["totals"]["input_tokens"] == 0
    assert answer.get("rows", []) in ([], [answer["totals"]])
    assert "the store holds no records" in run(store, command, *by).stderr
    assert ask(store.path / "incoming", command, *by)["totals"]["requests"] == 0


def test_files_without_a_line_and_files_of_other_kinds_are_fine(store: Store) -> None:
    store.append_bytes(b"", "empty.jsonl")
    (store.incoming / ".hidden.jsonl").write_bytes(b"garbage\n")
    (store.incoming / "notes.txt").write_bytes(b"garbage\n")
    assert requests(store) == 0


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    missing = run(tmp_path / "nowhere", "costs")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "nowhere does not exist" in missing.stderr
    (tmp_path / "file").write_text("")
    assert "is no directory" in run(tmp_path / "file", "costs").stderr
    none = run(None, "costs")
    assert none.exit_code == 2
    assert "GATEWAY_ANALYTICS_STORE" in none.stderr


def test_a_broken_parquet_file_is_named(store: Store) -> None:
    store.compact([record(1)])
    (store.path / "requests" / "date=2026-11-02" / "bad.parquet").write_bytes(b"PAR1 no")
    result = run(store, "costs")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "bad.parquet" in result.stderr
    assert "put a good copy in its place" in result.stderr


def test_a_store_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    store = Store(tmp_path / "a[b]*c")
    store.append([record(1)])
    store.compact([record(2)])
    assert requests(store) == 2


def test_hostile_text_in_every_field_is_only_text(store: Store) -> None:
    hostile = "x'); DROP TABLE records; --\x1b[2J\u202e=1+1|<b>"
    names = (
        "host",
        "instance",
        "endpoint",
        "provider",
        "request_model",
        "response_model",
        "api_key_id",
        "end_user",
    )
    store.append([record(1, **dict.fromkeys(names, hostile)), record(2, end_user="=SUM(A1)")])
    for form in ("table", "csv", "markdown", "json", "jsonl"):
        for arguments in (["costs", "--by", "model", "--by", "user"], ["requests", "--list"]):
            result = run(store, *arguments, "--format", form)
            assert result.exit_code == 0, result.output
            assert "\x1b" not in result.output
            assert "\u202e" not in result.output
    assert "'=SUM(A1)" in run(store, "costs", "--by", "user", "--format", "csv").stdout
    models = [row["model"] for row in ask(store, "costs", "--by", "model")["rows"]]
    assert hostile in models
