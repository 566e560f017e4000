"""Parquet in a bucket: copied there by compaction, and read from there as from a directory."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gateway_analytics import housekeeping
from gateway_analytics.bucket import Bucket
from gateway_analytics.compact_run import run as compact
from gateway_analytics.manifest import Manifest
from gateway_analytics.record_kind import REQUESTS
from gateway_analytics.upload import NOTE, upload
from support.analytics_store import Store, access_record, ask, record, run
from support.roles import Role

URL = "s3://fleet/logs"
# Runs what it is given, as a container would: with the variables that are named alone, and without a network
# where none is asked for. Nothing but this machine is ever reached.
DOCKER = f"""#!{sys.executable}
import os, sys

nowhere = "http://127.0.0.1:1"
variables = {{"PATH": os.environ["PATH"], "http_proxy": nowhere, "https_proxy": nowhere}}
words = iter(sys.argv[2:])
for word in words:
    option, _, value = word.partition("=")
    if option == "--env":
        name, given, text = value.partition("=")
        if given or name in os.environ:
            variables[name] = text if given else os.environ[name]
    elif word == "--network=bridge":
        variables["no_proxy"] = "127.0.0.1"
    elif option == "--entrypoint":
        program = value
    elif not option.startswith("--"):
        break  # the image
os.execvpe(program, [program, *words], variables)
"""
pytestmark = pytest.mark.usefixtures("s3")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "some'secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="fleet")
    yield client
    for one in client.list_objects_v2(Bucket="fleet").get("Contents", ()):
        client.delete_object(Bucket="fleet", Key=one["Key"])
    client.delete_bucket(Bucket="fleet")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.append(record(n, received_at=f"2026-11-0{1 + n % 3}T10:00:00.{n:06}Z") for n in range(1, 301))
    store.append_access(access_record(f"request-{n:04}") for n in range(1, 301))
    return store


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="fleet").get("Contents", ())]


def uploaded(store: Store) -> dict[str, int]:
    return {row["kind"]: row["parts_uploaded"] for row in ask(store, "compact", "--upload", URL)["rows"]}


def in_bucket(*arguments: str) -> dict[str, Any]:
    answer = run(None, *arguments, "--store", URL, "--format", "json")
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_a_bucket_answers_as_the_store_does(store: Store) -> None:
    assert uploaded(store) == {"requests": 3, "access": 1}
    for question in (
        ("costs", "--by", "day"),
        ("costs", "--by", "model", "--since", "2026-11-02", "--until", "2026-11-02"),
        ("latency",),
        ("verify", "--by", "host"),
        ("query", "SELECT count(*) AS calls, sum(cost_usd) AS cost FROM costs"),
    ):
        there, here = in_bucket(*question), ask(store, *question)
        assert (there["rows"], there["totals"]) == (here["rows"], here["totals"])
    assert uploaded(store) == {"requests": 0, "access": 0}


def test_a_bucket_has_health_and_a_page_and_nothing_to_follow(store: Store, tmp_path: Path) -> None:
    uploaded(store)
    asked = ("doctor", "--since", "2026-11-01", "--format", "json")
    here, there = (json.loads(run(place, *asked).stdout)["rows"] for place in (store, Path(URL)))
    assert there == [row for row in here if row["check"] != "disk"]
    assert run(None, "report", "--store", URL, "-o", str(tmp_path / "report.html")).exit_code == 0
    follow = run(None, "tail", "-f", "--store", URL)
    assert (follow.exit_code, follow.stdout) == (2, "")
    assert "none arrive in a bucket" in follow.stderr


def test_a_merged_part_takes_the_place_of_its_parts(s3: Any, store: Store) -> None:
    uploaded(store)
    store.append([record(n, received_at=f"2026-11-02T11:00:00.{n:06}Z") for n in range(301, 401)], "b.jsonl")
    assert uploaded(store)["requests"] == 1
    assert {key.rpartition("/")[2] for key in keys(s3) if "requests/date=2026-11-02" in key} == {
        "part-000001.parquet",
        "part-000001-000002.parquet",
    }
    # Both are there, and each record counts once.
    assert in_bucket("requests")["totals"] == ask(store, "requests")["totals"]
    upload(store.path, Manifest.load(store.path), REQUESTS, Bucket("fleet", "logs"), timedelta(0))
    assert [key for key in keys(s3) if "requests/date=2026-11-02" in key] == [
        "logs/requests/date=2026-11-02/part-000001-000002.parquet"
    ]
    assert in_bucket("requests")["totals"] == ask(store, "requests")["totals"]
    assert uploaded(store)["requests"] == 0


def killed_after(puts: int) -> Callable[[Bucket, str, bytes], bool]:
    put, left = Bucket.put, iter(range(puts))

    def one_more(self: Bucket, key: str, content: bytes) -> bool:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return put(self, key, content)

    return one_more


def test_a_copy_that_was_killed_goes_on(s3: Any, store: Store) -> None:
    compact(store.path, 0, {})
    expected = ask(store, "requests")["totals"]
    for puts in (0, 1, 2):
        child = os.fork()
        if child == 0:
            Bucket.put = killed_after(puts)  # type: ignore[method-assign]
            try:
                compact(store.path, 0, {}, Bucket("fleet", "logs"))
            finally:
                os._exit(1)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert len(keys(s3)) == 3
    assert uploaded(store) == {"requests": 0, "access": 1}
    assert in_bucket("requests")["totals"] == expected


def test_a_note_that_is_lost_is_made_again(store: Store) -> None:
    uploaded(store)
    (store.path / NOTE).unlink()
    assert uploaded(store) == {"requests": 0, "access": 0}
    (store.path / NOTE).write_text("{")
    answer = run(store, "compact", "--upload", URL)
    assert answer.exit_code == 2
    assert "damaged. Remove it" in answer.output


@pytest.fixture
def path_with_docker(tmp_path: Path) -> str:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    return f"{docker.parent}:{Path(sys.executable).parent}:/usr/bin:/bin"


def test_the_timer_copies_to_the_bucket_and_the_command_of_the_host_asks_it(
    s3: Any, endpoint: str, store: Store, path_with_docker: str, tmp_path: Path
) -> None:
    opened = {
        "AWS_ACCESS_KEY_ID": "some-key",
        "AWS_SECRET_ACCESS_KEY": "some'secret",
        "AWS_REGION": "eu-west-1",
    }
    role = Role(
        "log_store",
        log_store_path=str(store.path),
        log_store_analytics_image="tools:1",
        log_store_upload=URL,
        log_store_upload_environment=opened | {"AWS_ENDPOINT_URL": endpoint},
    )
    _, _, start = role.render("compact.service.j2").replace("\\\n", "").partition("ExecStart=/usr/bin/")
    lines = role.render("upload.env.j2").splitlines()
    variables = dict(shlex.split(line)[0].split("=", 1) for line in lines if not line.startswith("#"))
    subprocess.run(
        start.partition("\n")[0].split(), env=variables | {"PATH": path_with_docker}, cwd=tmp_path, check=True
    )
    assert sum(key.endswith(".parquet") for key in keys(s3)) == 4

    wrapper = tmp_path / "gateway-analytics"
    wrapper.write_text(role.render("gateway-analytics.j2"))
    question = ["sh", wrapper, "requests", "--store", URL, "--format", "json"]
    variables = opened | {"AWS_ENDPOINT_URL": endpoint, "PATH": path_with_docker}
    answer = subprocess.run(question, env=variables, cwd=tmp_path, check=True, stdout=subprocess.PIPE)
    assert json.loads(answer.stdout)["totals"] == ask(store, "requests")["totals"]


def test_what_another_store_put_there_stays(s3: Any, store: Store, tmp_path: Path) -> None:
    uploaded(store)
    before = {key: s3.get_object(Bucket="fleet", Key=key)["ETag"] for key in keys(s3)}
    other = Store(tmp_path / "other")
    other.append([record(n, boot_id="other") for n in range(5)])
    answer = run(other, "compact", "--upload", URL)
    assert answer.exit_code == 2
    assert "is not from this store" in answer.output
    assert ask(other, "requests")["totals"]["requests"] == 5
    assert {key: s3.get_object(Bucket="fleet", Key=key)["ETag"] for key in keys(s3)} == before


def test_days_deleted_here_stay_there(store: Store) -> None:
    uploaded(store)
    manifest = Manifest.load(store.path)
    housekeeping.delete_days(store.path, manifest, REQUESTS, 1)
    # Late, and repeated: it would be another part of a name that is taken.
    store.append([record(3, received_at="2026-11-01T10:00:00.000003Z")], "late.jsonl")
    assert uploaded(store)["requests"] == 0
    assert in_bucket("requests")["totals"]["requests"] == 300


@pytest.mark.parametrize(
    ("environment", "url", "told"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, URL, "no credentials. Set AWS_ACCESS_KEY_ID"),
        ({}, "s3://no-such-bucket/logs", "there is no bucket no-such-bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, URL, "http://127.0.0.1:1 cannot be reached"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, URL, "nonsense cannot be reached"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, URL, "no credentials. Set AWS_ACCESS_KEY_ID"),
        ({}, "s3://", "names no bucket"),
    ],
)
def test_what_is_amiss_is_said(
    environment: dict[str, str], url: str, told: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for answer in (run(None, "costs", "--store", url), run(store, "compact", "--upload", url)):
        assert answer.exit_code == 2
        assert told in " ".join(answer.output.split())
        assert "Traceback" not in answer.output
    # The records are in Parquet all the same, or still in incoming.
    assert ask(store, "requests")["totals"]["requests"] == 300


def test_without_the_extension_it_says_what_to_install(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uploaded(store)
    monkeypatch.setattr("importlib.resources.files", lambda _package: tmp_path)
    answer = run(None, "costs", "--store", URL)
    assert answer.exit_code == 2
    assert "Install duckdb-extension-httpfs==" in answer.output


def test_a_bucket_is_not_compacted_itself() -> None:
    answer = run(None, "compact", "--store", URL)
    assert answer.exit_code == 2
    assert "--upload" in answer.output
    answer = run(None, "compact", "--store", "/tmp", "--upload", "ftp://fleet")
    assert "Give s3://BUCKET/PREFIX" in answer.output
