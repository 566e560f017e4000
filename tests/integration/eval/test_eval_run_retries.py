"""`gateway-eval run --retry`: only what was asked for, and all of it recorded."""

from pathlib import Path

import pytest

from support.evaluation import GOOD, KEY_REFUSED, QUOTA, RATE_LIMIT, gateway_eval, results, write_cases
from support.hostile_server import (
    HostileServer,
    http,
)


def test_retry_is_explicit_and_recorded(host: HostileServer, tmp_path: Path) -> None:
    host.will(RATE_LIMIT, RATE_LIMIT, GOOD)
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--retry", "2").code == 0
    turns = results(tmp_path)["cases"][0]["turns"]
    assert [(turn["attempt"], turn["error_class"]) for turn in turns] == [
        (1, "rate_limit"),
        (2, "rate_limit"),
        (3, None),
    ]
    assert results(tmp_path)["summary"]["requests"] == 3


@pytest.mark.parametrize("answer", [QUOTA, KEY_REFUSED], ids=["quota", "key"])
def test_what_does_not_pass_by_itself_is_not_retried(
    host: HostileServer, tmp_path: Path, answer: bytes
) -> None:
    host.will(answer)
    gateway_eval(tmp_path, "run", host.url, "--cases", write_cases(tmp_path, {"name": "a"}), "--retry", "5")
    assert len(host.calls) == 1


def test_long_retry_after_is_not_waited_for(host: HostileServer, tmp_path: Path) -> None:
    host.will(http(429, {"error": {"message": "Slow down"}}, Retry_After="3600"))
    cases = write_cases(tmp_path, {"name": "a"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--retry", "1")
    assert ended.code == 6
    assert "3600 s" in ended.err
    assert len(host.calls) == 1
