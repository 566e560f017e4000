"""Confidence intervals: known values, and how often they hold what is true."""

import math
import random

import pytest

from gateway_eval.intervals import rate_difference, ratio, stratified_ratio, t_quantile


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [
        (0.975, 1, 12.7062),
        (0.975, 10, 2.2281),
        (0.995, 5, 4.0321),
        (0.95, 30, 1.6973),
        (0.9995, 2, 31.599),
        (0.975, math.inf, 1.95996),
        (0.5, 7, 0.0),
    ],
)
def test_quantiles_of_students_distribution(probability: float, freedom: float, expected: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_difference_of_rates_as_published() -> None:
    """Newcombe's own example: 56 of 70 against 48 of 80."""
    found = rate_difference((48, 80), (56, 70), 0.95)
    assert (found.change, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert found.real
    assert not rate_difference((5, 5), (4, 5), 0.95).real
    assert rate_difference((20, 20), (0, 20), 0.95).real


def test_ratio_of_two_samples_as_worked_out_by_hand() -> None:
    """Logarithms 0, 1 and 2, 3: means differ by 2, error sqrt(1/2), 2 degrees of freedom, t 4.3027."""
    found = ratio([1, math.e], [math.e**2, math.e**3], 0.95)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    reach = 4.30265 * math.sqrt(0.5)
    assert [math.log1p(value) for value in (found.change, found.low, found.high)] == pytest.approx(
        [2, 2 - reach, 2 + reach], rel=1e-5
    )


def test_too_few_to_tell() -> None:
    once = ratio([100], [200], 0.95)
    assert once is not None
    assert (once.change, once.real) == (pytest.approx(1.0), None)
    assert ratio([], [200], 0.95) is None
    assert ratio([0.0], [200], 0.95) is None
    assert stratified_ratio([], 0.95) is None


def test_what_does_not_vary_is_certain() -> None:
    same, more = ratio([45, 45], [45, 45], 0.95), ratio([45, 45], [90, 90], 0.95)
    assert same is not None
    assert more is not None
    assert (same.change, same.low, same.high, same.real) == (0, 0, 0, False)
    assert (more.low, more.high, more.real) == (pytest.approx(1), pytest.approx(1), True)


def test_cases_that_ran_once_are_compared_in_pairs() -> None:
    slower = stratified_ratio([([100], [120]), ([1000], [1210]), ([10], [12]), ([50], [61])], 0.95)
    assert slower is not None
    assert slower.real
    assert slower.change == pytest.approx(0.208, abs=0.01)
    mixed = stratified_ratio([([100], [120]), ([1000], [800]), ([10], [12])], 0.95)
    assert mixed is not None
    assert mixed.real is False


@pytest.mark.parametrize("size", [2, 10])
@pytest.mark.parametrize("cases", [1, 4])
def test_intervals_hold_the_truth_as_often_as_they_say(size: int, cases: int) -> None:
    """Latencies of three scales, spread as latencies are, 30 % slower in truth, 500 times over."""
    chance = random.Random(size * 10 + cases)
    held = 0
    for _ in range(500):
        pairs = []
        for case in range(cases):
            scale = 10 ** (1 + case % 3)
            before = [scale * chance.lognormvariate(0, 0.4) for _ in range(size)]
            pairs.append((before, [1.3 * scale * chance.lognormvariate(0, 0.4) for _ in range(size)]))
        found = stratified_ratio(pairs, 0.95)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.3 <= found.high
    assert 0.93 <= held / 500 <= 0.99
