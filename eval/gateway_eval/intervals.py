"""How sure a difference is: confidence intervals for changes of times, counts and rates.

Times are compared by ratio, on logarithms, as they are spread unevenly: Welch's interval for two samples, its
stratified form over cases, and the paired form where each case was run once. Rates are compared by
Newcombe's interval for a difference (https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
method 10).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

_ENOUGH = 1e-12


@dataclass(frozen=True)
class Change:
    """A relative change, 0.1 being 10 % more, with the bounds of its interval; None where too few to tell."""

    change: float
    low: float | None = None
    high: float | None = None

    @property
    def real(self) -> bool | None:
        """Whether the interval leaves out "no change"."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


def ratio(before: Sequence[float], after: Sequence[float], confidence: float) -> Change | None:
    """Return the change of the geometric mean between two samples; None where one is empty or not above 0."""
    return stratified_ratio([(before, after)], confidence)


def stratified_ratio(
    cases: Sequence[tuple[Sequence[float], Sequence[float]]], confidence: float
) -> Change | None:
    """Return the mean change over cases, each counting the same, however often it was run."""
    logs = [
        ([math.log(value) for value in before], [math.log(value) for value in after])
        for before, after in cases
        if before and after and min(*before, *after) > 0
    ]
    if not logs or len(logs) < len(cases):
        return None
    differences = [fmean(after) - fmean(before) for before, after in logs]
    mean = fmean(differences)
    if all(len(before) > 1 and len(after) > 1 for before, after in logs):
        parts = [(variance(side) / len(side), len(side) - 1) for pair in logs for side in pair]
        squared_error = sum(part for part, _ in parts) / len(logs) ** 2
        spread = sum(part**2 / freedom for part, freedom in parts)
        # Welch and Satterthwaite; a sample that does not vary at all leaves nothing to be unsure of.
        freedom = sum(part for part, _ in parts) ** 2 / spread if spread else math.inf
    elif len(logs) > 1:
        squared_error, freedom = variance(differences) / len(logs), len(logs) - 1
    else:
        return Change(math.expm1(mean))
    reach = t_quantile((1 + confidence) / 2, freedom) * math.sqrt(squared_error)
    return Change(*(_cleaned(math.expm1(value)) for value in (mean, mean - reach, mean + reach)))


def rate_difference(before: tuple[int, int], after: tuple[int, int], confidence: float) -> Change:
    """Return the difference of two rates, each given as (how many, of how many)."""
    (low_1, rate_1, high_1), (low_2, rate_2, high_2) = _wilson(before, confidence), _wilson(after, confidence)
    difference = rate_2 - rate_1
    down = math.hypot(rate_2 - low_2, high_1 - rate_1)
    up = math.hypot(high_2 - rate_2, rate_1 - low_1)
    return Change(*map(_cleaned, (difference, difference - down, difference + up)))


def _wilson(counted: tuple[int, int], confidence: float) -> tuple[float, float, float]:
    """Return Wilson's interval of a rate: low, the rate, high."""
    hits, total = counted
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = hits / total
    centre = (rate + z * z / (2 * total)) / (1 + z * z / total)
    reach = z / (1 + z * z / total) * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    return centre - reach, rate, centre + reach


def t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile, from 0.5 up, of Student's t distribution with so many degrees of freedom."""
    if math.isinf(freedom) or freedom > 1e6:
        return NormalDist().inv_cdf(probability)
    low, high = 0.0, 2.0
    while _t_cdf(high, freedom) < probability:
        high *= 2
    while high - low > _ENOUGH * high:
        middle = (low + high) / 2
        if _t_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _t_cdf(t: float, freedom: float) -> float:
    return 1 - _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function. https://dlmf.nist.gov/8.17#v"""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The continued fraction, by Lentz's method.
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(500):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d or 1e-300)
        c = 1 + term / c or 1e-300
        fraction *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return front * (fraction - 1) / a


def _cleaned(value: float) -> float:
    """Return a value without the dust of rounding, so that no change is no change."""
    return 0.0 if abs(value) < _ENOUGH else value
