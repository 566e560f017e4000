"""A key given to `gateway-eval` turns up in no output, file or error."""

from pathlib import Path

import pytest

from support.evaluation import CANARY, gateway_eval, write_cases
from support.hostile_server import (
    Answer,
    HostileServer,
    echo_key,
    echo_key_in_answer,
)


@pytest.mark.parametrize("answer", [echo_key, echo_key_in_answer], ids=["error", "answer"])
def test_key_is_nowhere_even_if_the_host_repeats_it(
    host: HostileServer, tmp_path: Path, answer: Answer
) -> None:
    host.will(answer)
    cases = write_cases(tmp_path, {"name": "a", "checks": {"equals": "x"}})
    for form in ("table", "json"):
        ended = gateway_eval(
            tmp_path, "run", host.url, "--cases", cases, "--api-key-env", "KEY", "--format", form, KEY=CANARY
        )
        assert host.calls[-1].headers["authorization"] == f"Bearer {CANARY}"
        assert ended.code in (1, 4)
        kept = (tmp_path / "gateway_results.json").read_text()
        for text in (ended.out, ended.err, kept):
            assert CANARY not in text
            assert "[redacted]" in text or text is ended.err


def test_no_key_is_sent_unless_asked_for(host: HostileServer, tmp_path: Path) -> None:
    gateway_eval(tmp_path, "run", host.url, OPENAI_API_KEY=CANARY)
    assert host.calls
    assert all("authorization" not in request.headers for request in host.requests)
