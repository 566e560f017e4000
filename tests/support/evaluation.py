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

PROGRAM = str(Path(sys.executable).with_name("gateway-eval"))


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
