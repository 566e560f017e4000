"""What a load looks like, to the byte."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.chat import TokenUsage
from gateway_eval.failure import Failure, FailureClass
from gateway_eval.load.html_report import as_html
from gateway_eval.load.measurement import Measurement
from gateway_eval.load.plan import Plan
from gateway_eval.load.result import LoadResult
from gateway_eval.load.sample import Sample
from gateway_eval.load.slo import parse
from gateway_eval.load.spending import Spending
from gateway_eval.load.text_report import as_text
from gateway_eval.pricing import Budget, Pricing
from gateway_eval.target import Endpoint
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEGAN = 1000.0
LIMIT = Failure.of(FailureClass.RATE_LIMIT, "HTTP 429: <b>slow down</b> & wait", http_status=429)
REFUSED = Failure.of(FailureClass.NETWORK, "connection refused")


def sample(due, took, failure=None, *, waited=False):
    """Return a call of so many seconds: a first token half way, then four more until the end."""
    call = Sample(BEGAN + due)
    call.sent = call.due + 0.0005
    call.ended = call.due + took
    call.failure, call.waited = failure, waited
    if failure is None:
        for number in range(5):
            call.output_at(call.due + took * (4 + number) / 8)
        call.usage, call.response_model = TokenUsage(input_tokens=20, output_tokens=5), "gpt-4o-2024-08-06"
    return call


@pytest.fixture
def measurement():
    found = Measurement(Plan(rate=10, duration=3, warm_up=1, ramp=1))
    found.began = BEGAN
    found.measured_from, found.measured_until = BEGAN + 2, BEGAN + 5
    found.cpu_share = 0.04
    found.lag_ms.extend([0.2, 0.4, 1.1])
    return found


def load(measurement, *slos, calls=()):
    pricing = Pricing(GOLDEN / "prices.yml")
    spending = Spending(pricing, Endpoint("chat", "chat", "openai", "gpt-4o"), Budget(Decimal(5)))
    for call in calls:
        measurement.begin(call)
        measurement.end(call)
        spending.allows_more_after(call)
    finished = NOON + timedelta(seconds=5.5)
    objectives = [parse(slo) for slo in slos]
    return LoadResult(
        "http://10.3.49.202:5000", "chat", NOON, finished, {}, measurement, objectives, spending
    )


@pytest.fixture
def result(measurement, monkeypatch):
    monkeypatch.setattr("gateway_eval.load.result.version", lambda: "0.1.0")
    calls = [sample(1 + number / 10, 0.2 + number / 100) for number in range(36)]
    calls += [sample(4.6, 0.05, LIMIT), sample(4.7, 0.04, LIMIT), sample(4.8, 0.01, REFUSED)]
    return load(measurement, "ttft_ms.p95<=800", "latency_ms.p99<300", "errors.rate_limit<=2", calls=calls)


def test_the_table(result):
    assert_golden(GOLDEN / "load.txt", as_text(result))


def test_the_results_file(result):
    assert_golden(GOLDEN / "load.json", json.dumps(result.as_dict(), indent=2, ensure_ascii=False) + "\n")


def test_the_page(result):
    assert_golden(GOLDEN / "load.html", as_html(result, result.as_dict()))


def test_the_page_shows_what_hosts_say_as_text_and_loads_nothing(result):
    page = as_html(result, result.as_dict())
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(page)
    names = {tag for tag, _ in tags}
    assert not names & {"b", "script", "link", "img", "iframe", "object"}
    assert not any({"src", "href", "onload"} & attributes.keys() for _, attributes in tags)
    charts = [page[start:].partition("</svg>")[0] + "</svg>" for start in _starts(page, "<svg")]
    assert len(charts) == 4
    for chart in charts:
        ElementTree.fromstring(chart)


def _starts(text, what):
    start = text.find(what)
    while start >= 0:
        yield start
        start = text.find(what, start + 1)


def test_a_load_without_an_answer_has_a_page_too(measurement):
    empty = load(measurement)
    assert "Nothing was seen." in as_html(empty, empty.as_dict())
    assert "0 requests" in as_text(empty)
    assert empty.totals["error_rate"] is None
    assert empty.exit_code is ExitCode.CHECK_FAILED


@pytest.mark.parametrize(
    ("failures", "slos", "code"),
    [
        ([], [], ExitCode.OK),
        ([LIMIT], [], ExitCode.RATE_LIMITED),
        ([LIMIT, REFUSED], [], ExitCode.UNREACHABLE),
        ([LIMIT], ["error_rate<=0.5"], ExitCode.OK),
        ([LIMIT], ["error_rate<=0.1"], ExitCode.CHECK_FAILED),
        ([], ["latency_ms.p50<=1"], ExitCode.CHECK_FAILED),
    ],
)
def test_the_exit_code_is_that_of_the_objectives_else_of_the_worst_failure(measurement, failures, slos, code):
    calls = [sample(3, 0.2), sample(3, 0.3), *(sample(3, 0.1, failure) for failure in failures)]
    assert load(measurement, *slos, calls=calls).exit_code is code


def test_objectives_do_not_excuse_a_host_that_never_answered(measurement):
    calls = [sample(3, 0.1, REFUSED)]
    assert load(measurement, "error_rate<=1", calls=calls).exit_code is ExitCode.UNREACHABLE


def test_what_failed_before_the_measured_part_is_told_but_not_counted(measurement):
    found = load(measurement, calls=[sample(0.5, 0.1, LIMIT), sample(3, 0.1)])
    assert found.totals["failed_requests"] == 0
    assert found.exit_code is ExitCode.OK
    assert any("1 calls failed in ramp and warm-up (rate_limit)" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda found: setattr(found, "cpu_share", 0.97), "this program itself was the limit: it used 97%"),
        (lambda found: found.lag_ms.extend([25.0] * 10), "this machine was the limit: it was 25 ms late"),
        (lambda found: setattr(found, "stopped", "hopeless"), "the first 100 calls all failed"),
        (lambda found: setattr(found, "in_flight", 3), "3 calls were still under way"),
    ],
)
def test_what_one_has_to_know_before_believing_the_numbers_is_said(measurement, spoil, said):
    before = load(measurement, calls=[sample(3, 0.1)])
    assert before.warnings == []
    assert before.totals["client"]["limited"] is False
    spoil(measurement)
    after = load(measurement)
    assert any(said in warning for warning in after.warnings)
    assert after.totals["client"]["limited"] is ("was the limit" in said)


def test_calls_that_waited_for_a_connection_are_the_hosts_doing(measurement):
    late = sample(3, 2, waited=True)
    late.sent = late.due + 1.5
    found = load(measurement, calls=[late])
    assert found.totals["client"]["limited"] is False
    assert any("waited for one of 1000 connections" in warning for warning in found.warnings)


def test_tokens_that_no_answer_states_are_unknown_not_none(measurement):
    silent = sample(3, 0.1)
    silent.usage = None
    found = load(measurement, calls=[silent])
    assert found.totals["output_tokens_per_s"] is None
    assert any("100% of the answers state no tokens" in warning for warning in found.warnings)
    assert len(found.distributions["inter_token_ms"]) == 0
