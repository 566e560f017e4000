"""The file of keys: what it may say, what is refused with its remedy, and how it is followed."""

import contextlib
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_serve.api_keys import ApiKeys, KeyFileError
from gateway_serve.cli import main
from gateway_serve.key_file import KeyFile

SECRET = "sk-of-a-caller"
HASH = hashlib.sha256(SECRET.encode()).hexdigest()


def entry(**fields: Any) -> dict[str, Any]:
    return {"id": "team-a", "sha256": HASH, "owner": "a@example.com"} | fields


def parse(*entries: Any, **more: Any) -> ApiKeys:
    return ApiKeys.parse(yaml.safe_dump({"keys": list(entries)} | more).encode())


def test_a_key_is_found_by_its_secret_alone() -> None:
    keys = parse(entry(), entry(id="team-b", sha256=hashlib.sha256(b"another").hexdigest()))
    found = keys.find(SECRET.encode())
    assert found is not None
    assert (found.id, found.owner, found.endpoints) == ("team-a", "a@example.com", None)
    assert keys.find(HASH.encode()) is None  # who reads the file cannot call
    assert keys.find(b"") is None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "valid", "not_valid"),
    [
        (
            "valid_from: 2026-03-01\n    valid_until: 2026-03-31",
            ["2026-03-01T00:00:00", "2026-03-31T23:59:59"],
            ["2026-02-28T23:59:59", "2026-04-01T00:00:00"],
        ),
        ("valid_until: 2026-03-31T18:00:00+02:00", ["2026-03-31T15:59:59"], ["2026-03-31T16:00:00"]),
        ("valid_until: '2026-03-31T18:00:00Z'", ["2026-03-31T17:59:59"], ["2026-03-31T18:00:00"]),
        ("valid_until: '2026-03-31'", ["2026-03-31T23:59:59"], ["2026-04-01T00:00:00"]),
        ("valid_from: 2026-03-01 12:00:00", ["2026-03-01T12:00:00"], ["2026-03-01T11:59:59"]),
        ("valid_until: 9999-12-31", ["2026-03-01T12:00:00", "9999-12-31T00:00:00"], []),
    ],
    ids=["whole days", "an offset", "text with a time", "text with a day", "no zone is UTC", "for ever"],
)
def test_a_key_is_valid_within_its_time(fields: str, valid: list[str], not_valid: list[str]) -> None:
    text = f"keys:\n  - id: a\n    sha256: {HASH}\n    owner: a\n    {fields}\n"
    (key,) = ApiKeys.parse(text.encode())
    assert [key.is_valid_at(at(moment)) for moment in valid] == [True] * len(valid)
    assert [key.is_valid_at(at(moment)) for moment in not_valid] == [False] * len(not_valid)


@pytest.mark.parametrize(
    ("entries", "remedy"),
    [
        ([entry(id=None)], "entry 1 has no usable `id`"),
        ([entry(id="a b")], "no usable `id`"),
        ([entry(sha256="abc")], "team-a: `sha256`"),
        ([entry(sha256=SECRET)], "team-a: `sha256`"),
        ([entry(owner=" ")], "`owner`"),
        ([entry(team=7)], "`team`"),
        ([entry(valid_untill="2026-01-01")], "`valid_untill` is unknown; known are .*valid_until"),
        ([entry(valid_until="tomorrow")], "`valid_until` is no date"),
        ([entry(valid_from="2026-02-01", valid_until="2026-01-01")], "before"),
        ([entry(endpoints=[])], "`endpoints`"),
        ([entry(endpoints="chat")], "`endpoints`"),
        ([entry(requests_per_minute=0)], "`requests_per_minute`"),
        ([entry(tokens_per_minute=True)], "`tokens_per_minute`"),
        ([entry(tokens_per_minute="1k")], "`tokens_per_minute`"),
        ([entry(), entry(sha256="0" * 64)], "entries 1 and 2 have the same id"),
        ([entry(), entry(id="team-b", sha256=HASH.upper())], "entries 1 and 2 have the same sha256"),
        (["team-a"], "entry 1 is no mapping"),
    ],
)
def test_a_bad_entry_is_named_and_no_hash_is_quoted(entries: list[Any], remedy: str) -> None:
    with pytest.raises(KeyFileError, match=remedy) as refused:
        parse(*entries)
    assert HASH not in str(refused.value).lower()
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"keys: {}", b"keys: []\nkey: []", b"keys: []\ninstances: 0", b"\xff\xfe\x00", b"a: ["],
)
def test_what_is_no_list_of_keys_is_refused(text: bytes) -> None:
    with pytest.raises(KeyFileError):
        ApiKeys.parse(text)


FIELDS = ["id", "sha256", "owner", "team", "valid_from", "valid_until", "endpoints", "tokens_per_minute", "x"]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.sampled_from(["a", HASH, "2026-01-01", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6) | ANYTHING, max_size=3), ANYTHING
)
def test_whatever_stands_in_the_file_is_read_or_refused(entries: list[Any], instances: Any) -> None:
    text = yaml.safe_dump({"keys": entries, "instances": instances})
    with contextlib.suppress(KeyFileError):
        for key in ApiKeys.parse(text.encode()):
            key.is_valid_at(datetime.now(UTC))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="[]{}:-? &*!|>'\"\n keys", max_size=100).map(str.encode))
def test_no_bytes_make_it_raise_anything_else(text: bytes) -> None:
    with contextlib.suppress(KeyFileError):
        ApiKeys.parse(text)


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [entry()]}))
    file = KeyFile(path)
    file.load()
    return file


def replace(file: KeyFile, text: str) -> None:
    fresh = file.path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(file.path)


def test_a_changed_file_is_followed(key_file: KeyFile, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    replace(key_file, yaml.safe_dump({"keys": [entry(id="team-b")]}))
    key_file.refresh(tell=True)
    key_file.refresh(tell=True)
    assert [key.id for key in key_file.keys] == ["team-b"]
    assert [record.getMessage() for record in caplog.records] == [f"1 keys loaded from {key_file.path}"]


@pytest.mark.parametrize("broken", ["keys: [", "keys:\n- id: x\n", None])
def test_a_file_that_breaks_leaves_the_keys_before_it(
    key_file: KeyFile, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if broken is None:
        key_file.path.unlink()
    else:
        replace(key_file, broken)
    for _ in range(3):
        key_file.refresh(tell=True)
    assert key_file.keys.find(SECRET.encode()) is not None
    assert key_file.problem is not None
    assert len(caplog.records) == 1
    assert "stay in force" in caplog.text
    replace(key_file, "keys: []")
    key_file.refresh()
    assert (len(key_file.keys), key_file.problem) == (0, None)


def test_a_new_key_is_shown_once_and_its_entry_lets_it_in(tmp_path: Path) -> None:
    owner = ["--owner", "Zoë <zoe@example.com>", "--team", "search"]
    days = ["--valid-from", "2026-01-01", "--valid-until", "2099-12-31"]
    rights = ["--endpoint", "chat", "--tokens-per-minute", "1000"]
    made = CliRunner().invoke(main, ["keys", "new", *owner, *days, *rights])
    assert made.exit_code == 0
    (secret,) = (line.strip() for line in made.stderr.splitlines() if line.startswith("    "))
    assert secret not in made.stdout
    path = tmp_path / "keys.yaml"
    path.write_text("keys:\n" + made.stdout, encoding="utf-8")
    file = KeyFile(path)
    file.load()
    key = file.keys.find(secret.encode())
    assert key is not None
    assert (key.owner, key.team, key.endpoints) == ("Zoë <zoe@example.com>", "search", frozenset({"chat"}))
    assert (key.requests_per_minute, key.tokens_per_minute) == (None, 1000)
    checked = CliRunner().invoke(main, ["keys", "check", str(path)])
    assert (checked.exit_code, checked.stdout) == (0, f"{key.id}\tZoë <zoe@example.com>\tsearch\tvalid\n")


def test_two_new_keys_of_one_owner_differ() -> None:
    first, second = (CliRunner().invoke(main, ["keys", "new", "--owner", "a"]) for _ in range(2))
    keys = ApiKeys.parse(f"keys:\n{first.stdout}{second.stdout}".encode())
    assert len(keys) == 2


def test_a_bad_file_is_told_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump({"keys": [entry(owner=None)]}))
    checked = CliRunner().invoke(main, ["keys", "check", str(path)])
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert "`owner`" in checked.stderr
    assert CliRunner().invoke(main, ["keys", "check", str(tmp_path / "none")]).exit_code == 2
