import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_eval.load.distribution import Distribution
from gateway_eval.load.slo import parse


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (90, 90), (99, 99), (99.9, 100), (100, 100), (0.01, 1), (1, 1)]
)
def test_percentiles_are_samples_that_were_seen(percent, expected):
    assert Distribution(range(100, 0, -1)).quantile(percent) == expected


def test_a_percentile_of_tenths_is_not_off_by_one():
    assert Distribution(range(1, 1001)).quantile(99.9) == 999


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 10_000))
def test_so_many_percent_do_not_exceed_a_percentile_and_no_smaller_sample_will_do(samples, hundredths):
    found = Distribution(samples).quantile(hundredths / 100)
    needed = hundredths * len(samples)
    assert sum(sample <= found for sample in samples) * 10_000 >= needed
    assert sum(sample < found for sample in samples) * 10_000 < needed


def test_of_nothing_nothing_is_known():
    empty = Distribution([])
    assert [empty.statistic(name) for name in ("min", "mean", "max", "p99")] == [None] * 4
    assert empty.as_dict()["count"] == 0


TOTALS = {
    "error_rate": 0.01,
    "failed_requests": 2,
    "requests_per_s": 199.5,
    "input_tokens_per_s": None,
    "output_tokens_per_s": None,
    "errors": {"timeout": {"count": 2}},
}
SEEN = {"latency_ms": Distribution([100, 200, 300]), "ttft_ms": Distribution([])}


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("latency_ms.p50<=200", True),
        ("latency_ms.p50<200", False),
        ("latency_ms.max <= 299.9", False),
        ("latency_ms.mean>=200", True),
        ("error_rate<=0.01", True),
        ("error_rate<0.01", False),
        ("requests_per_s>=199", True),
        ("failed_requests<=1", False),
        ("errors.timeout<=2", True),
        ("errors.rate_limit<=0", True),
        ("ttft_ms.p95<=800", False),
        ("output_tokens_per_s>0", False),
    ],
)
def test_objectives_are_judged_and_without_a_sample_they_do_not_hold(text, passed):
    assert parse(text).judge(SEEN, TOTALS).passed is passed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast", "ttft_ms.p95<=800"),
        ("latency_ms<=5", "latency_ms needs min, mean, max or pNN"),
        ("latency_ms.p0<=5", "needs min, mean, max or pNN"),
        ("latency_ms.p101<=5", "needs min, mean, max or pNN"),
        ("latency.p50<=5", "did you mean latency_ms?"),
        ("error_rate.p50<=5", "error_rate is one number"),
        ("errors.timeouts<=5", "did you mean timeout?"),
        ("latency_ms.p50==5", "is no objective"),
        ("latency_ms.p50<=fast", "is no objective"),
    ],
)
def test_what_is_no_objective_is_refused_with_the_remedy(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(text)
