"""Broken lines: none stops a query or skews it, and each goes to quarantine once with where and why."""

import json
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gateway_analytics.lines import examine, look_doubtful, problem_of
from gateway_analytics.record_kind import ACCESS, KINDS, REQUESTS, RecordKind
from gateway_contracts.request_record import encode
from support.analytics_store import Store, ask, record
from support.broken_lines import broken_lines, replaced

FULL = record(
    2,
    request_id="d95bafc8f2a4d27bdcf4bb99f4bea973",
    **dict.fromkeys(("api_key_id", "end_user", "service_tier", "error_class", "finish_reason"), "some"),
    **dict.fromkeys(("cached_input_tokens", "cache_write_tokens", "reasoning_tokens"), 5),
    **dict.fromkeys(("input_audio_tokens", "output_audio_tokens"), 0),
    provider_cost_usd="0.0012",
    time_to_first_token_ms=12.25,
)
ACCESS_FULL = {
    "schema_version": 1,
    "request_id": "d95bafc8f2a4d27bdcf4bb99f4bea973",
    "received_at": "2026-11-02T10:00:00.123Z",
    "host": "balancer-1",
    "client_address": "192.0.2.7",
    "method": "POST",
    "path": "/v1/chat/completions",
    "http_status": 200,
    "request_bytes": 300,
    "response_bytes": 400,
    "duration_ms": 12,
    "upstream_address": "10.0.0.1:5101",
    "upstream_status": 200,
    "upstream_connect_ms": 0,
    "upstream_header_ms": 11,
    "upstream_ms": 12,
    "limited": False,
}
SAMPLES = {"requests": (FULL, REQUESTS), "access": (ACCESS_FULL, ACCESS)}


def corpus(name: str) -> list[tuple[str, bytes]]:
    sample, kind = SAMPLES[name]
    return list(broken_lines(sample, tuple(kind.fields)))


def quarantine(store: Store) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((store.path / "quarantine").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


@pytest.mark.parametrize("name", list(SAMPLES))
def test_what_the_corpus_holds_is_broken_and_its_samples_are_not(name: str) -> None:
    sample, kind = SAMPLES[name]
    assert problem_of(json.dumps(sample).encode(), kind) is None
    lines = corpus(name)
    assert len(lines) >= 200
    assert [what for what, line in lines if problem_of(line, kind) is None] == []


def test_each_broken_line_goes_to_quarantine_once_and_no_query_minds(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    lines = [line for _, line in corpus("requests")]
    content = b"".join(
        encode(record(n, boot_id="good")) + line + b"\n" for n, line in enumerate(lines, start=1)
    )
    path = store.append_bytes(content, "mixed.jsonl")
    # A record behind something broken on the same line is read, too.
    expected, problems = examine(content, REQUESTS)
    assert len(expected) >= len(lines)
    before = ask(store, "costs", "--by", "model")
    newer = sum(problem.newer for problem in problems)
    calls = {(one["boot_id"], one["sequence"]) for one in map(json.loads, expected)}
    assert before["totals"]["requests"] == len(calls)
    assert before["totals"]["failed_requests"] == 0
    invalid = len(problems) - newer
    assert before["warnings"] == [
        f"not counted: {invalid} lines without a valid record, in 1 incoming file (first: mixed.jsonl)",
        f"not counted: {newer} records of a schema_version above 1;"
        " use the gateway-analytics of that version",
    ]

    row = ask(store, "compact")["rows"][0]
    assert row["quarantined"] == len(problems)
    after = ask(store, "costs", "--by", "model")
    assert (after["totals"], after["rows"]) == (before["totals"], before["rows"])
    assert after["warnings"] == [
        f"not counted: {len(problems)} lines in quarantine; see {store.path / 'quarantine'}"
    ]
    entries = quarantine(store)
    assert len(entries) == len(problems)
    data = path.read_bytes()
    for entry in entries:
        assert entry["file"] == "requests/mixed.jsonl"
        assert entry["reason"]
        kept = entry["line"].encode("utf-8", "surrogateescape")
        assert data[entry["offset"] : entry["offset"] + entry["bytes"]].startswith(kept)
        assert len(kept) == min(entry["bytes"], 65_536)
    assert ask(store, "compact")["rows"][0]["quarantined"] == 0
    assert len(quarantine(store)) == len(problems)


def test_a_record_broken_by_a_line_feed_stops_nothing(tmp_path: Path) -> None:
    """Between two tokens: both lines are broken, but a reader of JSON that goes on sees a record."""
    store = Store(tmp_path / "store")
    broken = encode(record(2)).replace(b',"finish_reason"', b',\n"finish_reason"')
    store.append_bytes(encode(record(1)) + broken + encode(record(3)), "broken.jsonl")
    store.append([record(4)], "good.jsonl")
    assert ask(store, "costs")["totals"]["requests"] == 3
    row = ask(store, "compact")["rows"][0]
    assert (row["records"], row["quarantined"]) == (3, 2)
    assert ask(store, "costs")["totals"]["requests"] == 3


def test_one_broken_line_in_the_file_is_found_whichever_it_is(tmp_path: Path) -> None:
    """Each broken line alone among good ones: what another line gives away does not help to find it."""
    for name, (sample, kind) in SAMPLES.items():
        lines = corpus(name)
        directory = tmp_path / name
        directory.mkdir()
        good = json.dumps(sample).encode() + b"\n"
        for number, (_, line) in enumerate(lines):
            (directory / f"{number:04}.jsonl").write_bytes(good + line + b"\n")
        files = [str(path) for path in sorted(directory.iterdir())]
        connection, more = duckdb.connect(), ", filename = true"
        certain = connection.execute(
            f"SELECT filename, count(*) FILTER ({kind.certain}) FROM"
            f" {kind.careful_lines('CAST($files AS VARCHAR[])', more)} GROUP BY ALL",
            {"files": files},
        ).fetchall()
        unseen = [
            lines[int(Path(file).stem)][0]
            for file, count in certain
            if count > 1 and not look_doubtful(Path(file).read_bytes())
        ]
        assert unseen == [], name
        # Compaction asks the same of many lines at once.
        stored = (
            f"SELECT filename, {kind.stored} FROM {kind.careful_lines('CAST($files AS VARCHAR[])', more)}"
        )
        together = connection.execute(
            f"SELECT filename, {kind.all_certain} FROM ({stored}) GROUP BY filename", {"files": files}
        ).fetchall()
        assert [
            lines[int(Path(file).stem)][0]
            for file, certain in together
            if certain and not look_doubtful(Path(file).read_bytes())
        ] == [], name


def mutated(sample: dict[str, Any], kind: RecordKind, chance: random.Random) -> bytes:
    """A line with a byte, a value or a field changed at random; many stay valid."""
    values = [
        "1",
        "-1",
        "0",
        "1.5",
        '"x"',
        '"7"',
        "null",
        "true",
        "[]",
        "{}",
        "1e2",
        '"\\u0041"',
        '"é"',
        '"{"',
        "1E5",
    ]
    line = json.dumps(sample, ensure_ascii=False).encode()
    match chance.randrange(4):
        case 0:
            return replaced(sample, chance.choice(kind.fields).name, chance.choice(values))
        case 1:
            at = chance.randrange(len(line))
            return line[:at] + bytes([chance.choice(b'"{}[],:\\ 0-9.eE\tx\0\xff')]) + line[at + 1 :]
        case 2:
            at = chance.randrange(len(line))
            return line[:at] + line[at + chance.randrange(1, 4) :]
        case _:
            at = chance.randrange(len(line))
            return line[:at] + bytes([chance.choice(b'"{}[],: 0-9.eE\\')]) + line[at:]


@pytest.mark.parametrize("name", list(SAMPLES))
def test_what_duckdb_reads_beyond_doubt_is_valid_and_what_is_valid_it_reads(
    name: str, tmp_path: Path
) -> None:
    sample, kind = SAMPLES[name]
    chance = random.Random(5)
    lines = [mutated(sample, kind, chance).replace(b"\n", b" ") for _ in range(4000)]
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    connection = duckdb.connect(config={"threads": 1})
    complete = " AND ".join(f"{column} IS NOT NULL" for column in kind.required)
    read = connection.execute(
        f"SELECT {kind.certain}, {complete} FROM (SELECT * FROM {kind.careful_lines(repr(str(path)))})"
    ).fetchall()
    assert len(read) == len(lines)
    valid = [problem_of(line, kind) is None for line in lines]
    assert 400 < sum(valid) < 3600
    wrongly_certain = [
        line
        for line, (certain, _), good in zip(lines, read, valid, strict=True)
        if certain and not good and not look_doubtful(line)
    ]
    unread = [line for line, (_, whole), good in zip(lines, read, valid, strict=True) if good and not whole]
    assert (wrongly_certain, unread) == ([], [])


def test_every_kind_of_record_is_tested_here() -> None:
    assert {kind.name for kind in KINDS} == set(SAMPLES)
    # A wrong bool is stored as null: that shows only where null is wrong, too.
    assert not any(known.nullable for kind in KINDS for known in kind.fields if known.type == "bool")
