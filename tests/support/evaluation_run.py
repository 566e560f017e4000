"""An example of a run, with a case of each kind; what is in [brackets] or <angles> is no markup."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.checks import CheckResult
from gateway_eval.failure import Failure, FailureClass
from gateway_eval.health import Health
from gateway_eval.pricing import Pricing
from gateway_eval.results import CaseResult, HostRecord, RunResult, TurnResult
from gateway_eval.target import Endpoint

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHAT = Endpoint("chat", "chat", "openai", "gpt-4o-mini")
URL = "http://10.3.49.202:5000"
OTHER_URL = "https://gateway.example"
_BOOK = """\
schema_version: 1
prices:
  - provider: openai
    model: gpt-4o-mini
    valid_from: 2020-01-01
    usd_per_million: {input: "1", output: "10"}
"""


def round_prices(folder: Path) -> Pricing:
    """Return prices of a dollar in and ten out per million tokens of CHAT's model, kept in a folder."""
    (folder / "prices.yml").write_text(_BOOK)
    return Pricing(folder / "prices.yml")


def turn(cost: str | None, failure: Failure | None = None, *checks: CheckResult) -> TurnResult:
    """Return a call of 11 tokens in and 45 out, or one that failed."""
    outcome = ChatOutcome(
        False,
        http_status=failure.http_status if failure else 200,
        request_id="request-1",
        response_model=None if failure else "gpt-4o-mini-2024-07-18",
        output=None if failure else "Bob\x00 <b>& co</b>",
        finish_reason=None if failure else "stop",
        usage=None if failure else TokenUsage(input_tokens=11, output_tokens=45),
        duration_ms=812.4,
        failure=failure,
    )
    return TurnResult(
        1,
        1,
        CHAT,
        NOON,
        outcome,
        Decimal(cost) if cost else None,
        "computed" if cost else None,
        list(checks),
        ({"role": "user", "content": "Who are you, <script>alert(1)</script>?"},),
    )


def example_run() -> RunResult:
    """Return a run on one host, stopped before its last case."""
    quota = Failure.of(FailureClass.QUOTA, "HTTP 429: [red]No credit[/red]", http_status=429)
    wrong = CheckResult("contains", False, 'expected "Ada", but found "Bob"')
    right = CheckResult("status", True, "expected 200, found 200")
    listing = TurnResult(
        1, 1, Endpoint(""), NOON, ChatOutcome(False, None, 200, output="{}", duration_ms=2.5)
    )
    run = RunResult(
        [HostRecord(URL, api="mlflow", endpoint=CHAT)],
        NOON,
        {"python": "3.13.5", "cases": "cases.yml", "api": "mlflow", "endpoint": "chat"},
        planned=7,
        cases=[
            CaseResult("health", duration_ms=2.1, health=Health(True, "/health", 200, 1.9)),
            CaseResult("simple-question", turns=[turn("0.00002865", None, right)], duration_ms=812.4),
            CaseResult("wrong answer", turns=[turn("0.00002865", None, right, wrong)], duration_ms=812.4),
            CaseResult("no price", turns=[turn(None), turn("0.00002865")], duration_ms=1624.8),
            CaseResult("no money", turns=[turn(None, quota)], error=quota, duration_ms=30),
            CaseResult("models", turns=[listing], duration_ms=2.6),
        ],
        finished_at=NOON + timedelta(seconds=3.25),
        stopped="fail_fast",
    )
    for case in run.cases:
        case.base_url, case.host = URL, run.hosts[0].name
    return run


def example_run_on_two_hosts() -> RunResult:
    """Return the same run with a second host, which cannot be reached."""
    run = example_run()
    refused = Failure.of(FailureClass.NETWORK, "connection refused")
    run.hosts.append(HostRecord(OTHER_URL, "gateway-2/1", failure=refused))
    run.cases += [
        CaseResult(name, error=refused, base_url=OTHER_URL, host="gateway-2/1")
        for name in ("health", "simple-question")
    ]
    run.planned, run.stopped = len(run.cases), None
    return run
