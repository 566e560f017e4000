"""Delays and faults by chance. The same ones come in every run, so that a run can be repeated."""

import math
import random
import re
from dataclasses import dataclass

from gateway_eval.emulator.directives import DirectiveError, parse

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_FORMS = {
    "fixed": re.compile(_NUMBER),
    "uniform": re.compile(f"{_NUMBER}-{_NUMBER}"),
    "normal": re.compile(f"normal:{_NUMBER},{_NUMBER}"),
    "lognormal": re.compile(f"lognormal:{_NUMBER},{_NUMBER}"),
    "exponential": re.compile(f"exponential:{_NUMBER}"),
}
_DELAYS = (
    "200, 100-300, normal:200,50 (mean, deviation), lognormal:200,0.5 (median, sigma) or exponential:200"
)
_FAULT = re.compile(r"\s*(\d*\.?\d+)\s*:\s*(\S.*)")


@dataclass(frozen=True, slots=True)
class Delay:
    """A time that is drawn anew for each use, in the unit of its numbers, up to `most`."""

    form: str = "fixed"
    numbers: tuple[float, ...] = (0.0,)
    most: float = math.inf

    @classmethod
    def read(cls, text: str, most: float) -> "Delay":
        """Return the delay that a text describes. Raises ValueError with the forms there are."""
        for form, pattern in _FORMS.items():
            if match := pattern.fullmatch(text):
                numbers = tuple(map(float, match.groups()))
                if form == "uniform" and numbers[0] > numbers[1]:
                    raise ValueError(f"{text!r}: write the smaller number first")
                if max(numbers) > most:
                    raise ValueError(f"{text!r} is longer than the longest, {most:g}")
                return cls(form, numbers, most)
        raise ValueError(f"{text!r} is no delay; write {_DELAYS}")

    def draw(self, chance: random.Random) -> float:
        """Return the next time, never less than 0."""
        match self.form, self.numbers:
            case "uniform", (low, high):
                drawn = chance.uniform(low, high)
            case "normal", (mean, deviation):
                drawn = chance.gauss(mean, deviation)
            case "lognormal", (median, sigma):
                drawn = median * math.exp(chance.gauss(0.0, sigma))
            case "exponential", (mean,):
                drawn = chance.expovariate(1 / mean) if mean else 0.0
            case _:
                return self.numbers[0]
        return min(max(drawn, 0.0), self.most)

    def draw_sum(self, times: int, chance: random.Random) -> float:
        """Return the sum of so many times."""
        if self.form == "fixed":
            return self.numbers[0] * times
        return sum(self.draw(chance) for _ in range(times))


NO_DELAY = Delay()


@dataclass(frozen=True, slots=True)
class Fault:
    """A directive that strikes a part of the calls, 0 to 1."""

    share: float
    directive: str

    @classmethod
    def read(cls, text: str) -> "Fault":
        """Return the fault that a text such as `0.01:rate_limit` describes. Raises ValueError."""
        match = _FAULT.fullmatch(text)
        if match is None or not 0 <= float(match[1]) <= 1:
            raise ValueError(f"{text!r} is no fault; write SHARE:DIRECTIVE, as in 0.01:rate_limit")
        try:
            parse("", match[2])
        except DirectiveError as error:
            raise ValueError(str(error)) from None
        return cls(float(match[1]), match[2].strip())


def strikes(faults: tuple[Fault, ...], chance: random.Random) -> str | None:
    """Return the directive of the fault that strikes this call, None where none does; at most one does."""
    drawn = chance.random()
    for fault in faults:
        if drawn < fault.share:
            return fault.directive
        drawn -= fault.share
    return None
