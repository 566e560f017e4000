"""The process's own log: JSON lines that give nothing away."""

import json
import logging

import pytest

from gateway_serve import log_lines


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(log_lines, "_secrets", set())
    log_lines.hide(["sk-0123456789", "short"])
    return "sk-0123456789"


def line(
    message: str, *arguments: object, name: str = "gateway_serve", error: BaseException | None = None
) -> dict[str, object]:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, info)
    text = log_lines.JsonLines().format(record)
    assert "\n" not in text
    decoded: dict[str, object] = json.loads(text)
    return decoded


def test_a_line_says_when_what_and_who() -> None:
    said = line("two\nlines of %s", "text")
    assert said["message"] == "two\nlines of text"
    assert (said["level"], said["logger"]) == ("error", "gateway_serve")
    assert str(said["time"]).endswith("Z")


def test_a_secret_never_appears(secret: str) -> None:
    assert line("key %s, short word", secret)["message"] == "key ***, short word"


def test_an_exception_leaves_type_and_place_but_not_what_it_quotes() -> None:
    try:
        raise ValueError("input_value='my secret prompt'")
    except ValueError as error:
        said = line("failed", error=error)
    assert said["exception"] == "ValueError"
    assert "test_log_lines.py" in str(said["frames"])
    assert "prompt" not in json.dumps(said)


def test_a_lost_task_is_told_without_its_repr() -> None:
    said = line(
        "Task exception was never retrieved\nfuture: <Task exception=ValueError('my prompt')>", name="asyncio"
    )
    assert said["message"] == "Task exception was never retrieved"
