"""Load from wrk: the same chat request again and again, over so many connections for so long."""

import json
import math
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders import MODEL, Target

PROMPT = "What is AI?"

# Percentiles come in microseconds. Without `done`, wrk rounds them for people.
_SCRIPT = """
wrk.method = "POST"
wrk.body = %s
wrk.headers["content-type"] = "application/json"
%s
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\nRESULT {"requests": %%d, "us": %%d, "errors": %%d, "p50": %%f, "p99": %%f}\\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Measured:
    """One run of wrk. `requests` are the answers that came whole; `errors` counts statuses above 399 too."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int
    client_cpu: float
    """Part of one core that wrk used, 0 to 1: near 1, it is wrk that was measured."""


def chat(stream: bool = False) -> dict[str, Any]:
    """Return the request's body."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant. Answer in one sentence."},
        {"role": "user", "content": PROMPT},
    ]
    return {"model": MODEL, "messages": messages, "max_tokens": 100} | ({"stream": True} if stream else {})


def wrk(
    target: Target, directory: Path, connections: int, seconds: float, *, stream: bool = False
) -> Measured:
    """Load a target from one thread of wrk."""
    script = directory / "wrk.lua"
    headers = "\n".join(
        f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in target.headers.items()
    )
    script.write_text(_SCRIPT % (_lua(json.dumps(chat(stream))), headers))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--timeout", "30s"]
    before = _cpu_seconds()
    done = subprocess.run(
        [*command, "-s", str(script), target.url], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.split("RESULT ")[1])
    return Measured(
        requests=found["requests"],
        per_second=found["requests"] / (found["us"] / 1e6),
        p50_ms=found["p50"] / 1000,
        p99_ms=found["p99"] / 1000,
        errors=found["errors"],
        client_cpu=(_cpu_seconds() - before) / (found["us"] / 1e6),
    )


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _lua(text: str) -> str:
    return json.dumps(text)  # the escapes of JSON that occur here are Lua's too
