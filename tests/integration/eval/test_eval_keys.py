"""The evaluation of a gateway that asks for keys: the project's own, with a key of its own making."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.emulator import Emulator, running_emulator
from support.evaluation import gateway_eval, results
from support.gateway import KEY, Gateway, openai_endpoint, program, running_gateway


@dataclass(frozen=True)
class Guarded:
    """A gateway with keys, its provider, and the one key that it takes."""

    gateway: Gateway
    emulator: Emulator
    key: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = subprocess.run(
        [program(), "keys", "new", "--owner", "alice"], capture_output=True, text=True, check=True, timeout=60
    )
    keys = tmp_path_factory.mktemp("keys") / "keys.yaml"
    keys.write_text(f"keys:\n{made.stdout}")
    with running_emulator(api_key=KEY, model="gpt-4o-mini") as emulator:
        config = {"endpoints": [openai_endpoint("chat", emulator.openai_url, model="gpt-4o-mini")]}
        with running_gateway(config, GATEWAY_API_KEYS=str(keys)) as gateway:
            yield Guarded(gateway, emulator, made.stderr.split()[-1])


@pytest.mark.parametrize("suite", ["smoke", "errors"])
def test_suites_with_the_right_key(guarded: Guarded, tmp_path: Path, suite: str) -> None:
    arguments = ["run", guarded.gateway.url, "--suite", suite, "--api-key-env", "GATEWAY_KEY"]
    ended = gateway_eval(tmp_path, *arguments, GATEWAY_KEY=guarded.key)
    assert ended.code == 0, ended.out
    assert "left out" not in ended.err
    kept = [ended.out, ended.err, *(path.read_text() for path in tmp_path.iterdir())]
    assert guarded.key not in "".join([*kept, guarded.gateway.everything_written()])


@pytest.mark.parametrize(("key", "word"), [(None, "missing"), ("sk-llm-gateway-wrong", "refused")])
def test_without_the_right_key_nothing_is_called(
    guarded: Guarded, tmp_path: Path, key: str | None, word: str
) -> None:
    guarded.emulator.reset()
    options = [] if key is None else ["--api-key-env", "GATEWAY_KEY"]
    ended = gateway_eval(tmp_path, "run", guarded.gateway.url, *options, GATEWAY_KEY=key or "")
    assert ended.code == 4
    assert {case["error"]["class"] for case in results(tmp_path)["cases"]} == {"authentication"}
    checked = gateway_eval(tmp_path, "check", "--json", guarded.gateway.url, *options, GATEWAY_KEY=key or "")
    assert checked.code == 4
    (row,) = checked.json()["rows"]
    assert (row["key"], row["healthy"]) == (word, True)
    assert guarded.emulator.stats()["received"] == 0


def test_check_tries_the_key_and_calls_no_model(guarded: Guarded, tmp_path: Path) -> None:
    guarded.emulator.reset()
    ended = gateway_eval(
        tmp_path,
        "check",
        "--json",
        guarded.gateway.url,
        "--api-key-env",
        "GATEWAY_KEY",
        GATEWAY_KEY=guarded.key,
    )
    assert ended.code == 0, ended.err
    assert ended.json()["rows"][0]["key"] == "accepted"
    assert guarded.emulator.stats()["received"] == 0
