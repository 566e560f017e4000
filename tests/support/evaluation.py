"""`gateway-eval` as its users meet it: a command line with an exit code, data and narration."""

import contextlib
import io
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from gateway_eval.cli import main
from support.hostile_server import completion, http

PROGRAM = str(Path(sys.executable).with_name("gateway-eval"))

CANARY = "sk-canary-5a1f77c09be34d21"
"""A key that is given to the program, and must turn up nowhere but in the header that it is sent in."""

GOOD = http(200, completion(), X_Request_ID="request-1")
QUOTA = http(429, {"error": {"message": "No credit", "code": "insufficient_quota"}})
RATE_LIMIT = http(429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, Retry_After="0")
KEY_REFUSED = http(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
BROKEN = http(500, {"error": {"message": "The server had an error"}})


@dataclass(frozen=True)
class Ended:
    """A program that has ended: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """Return standard output, which has to be one JSON document."""
        document: dict[str, Any] = json.loads(self.out)
        return document


def gateway_eval(directory: Path, *arguments: str, **environment: str) -> Ended:
    """Run the whole program in a directory, within this process as that takes a tenth of the time."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with (
            contextlib.chdir(directory),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, {"COLUMNS": "100", **environment}),
            mock.patch.object(sys, "argv", [PROGRAM, *arguments]),
        ):
            main()
    except SystemExit as end:
        return Ended(int(end.code or 0), out.getvalue(), err.getvalue())
    finally:
        signal.signal(signal.SIGTERM, handler)
    raise AssertionError("the program returned without an exit code")


def results(directory: Path, name: str = "gateway_results.json") -> dict[str, Any]:
    """Return the results file that a run left."""
    document: dict[str, Any] = json.loads((directory / name).read_text())
    return document


def write_cases(directory: Path, *cases: dict[str, Any]) -> str:
    """Write a case file, of cases that say "Hi" where they say nothing else, and return its path."""
    path = directory / "cases.json"
    said = {"input": "Hi"}
    kinds = {"input", "messages", "turns", "request", "health"}
    path.write_text(json.dumps([case if kinds & set(case) else {**said, **case} for case in cases]))
    return str(path)
