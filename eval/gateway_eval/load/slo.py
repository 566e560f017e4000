"""Service level objectives: expressions such as `ttft_ms.p95<=800` that a load passes or fails."""

import difflib
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway_eval.failure import FailureClass
from gateway_eval.load.distribution import Distribution

DISTRIBUTIONS = ("latency_ms", "ttft_ms", "inter_token_ms", "inter_chunk_ms", "send_delay_ms")
SCALARS = ("requests_per_s", "input_tokens_per_s", "output_tokens_per_s", "error_rate", "failed_requests")
# Only streams have these.
STREAMED = ("ttft_ms", "inter_token_ms", "inter_chunk_ms")

_COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_EXPRESSION = re.compile(r"\s*([a-z_]+)(?:\.([a-z_]+[\d.]*))?\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*")
_EXAMPLE = "ttft_ms.p95<=800"


@dataclass(frozen=True)
class Slo:
    """One objective: a quantity, its statistic or error class where it has such, and its bound."""

    text: str
    quantity: str
    part: str | None
    comparison: str
    bound: float

    def judge(self, distributions: Mapping[str, Distribution], totals: Mapping[str, Any]) -> "Verdict":
        """Return whether it holds. Without a single sample it does not: that proves nothing."""
        actual: float | None
        if self.quantity == "errors":
            actual = float(totals["errors"].get(self.part, {}).get("count", 0))
        elif self.part is not None:
            actual = distributions[self.quantity].statistic(self.part)
        else:
            actual = totals[self.quantity]
        passed = actual is not None and bool(_COMPARISONS[self.comparison](actual, self.bound))
        return Verdict(self, passed, actual)


@dataclass(frozen=True)
class Verdict:
    """Whether an objective holds; `actual` is None where there was nothing to judge."""

    slo: Slo
    passed: bool
    actual: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as the results file has it."""
        actual = None if self.actual is None else round(self.actual, 6)
        return {"slo": self.slo.text, "passed": self.passed, "actual": actual}


def parse(text: str) -> Slo:
    """Return the objective that a text states. Raises ValueError with the remedy."""
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no objective; write QUANTITY.STATISTIC<=NUMBER, as in {_EXAMPLE}")
    quantity, part, comparison, bound = match.groups()
    known = (*DISTRIBUTIONS, *SCALARS, "errors")
    if quantity not in known:
        raise ValueError(f"{text!r}: there is no {quantity!r}{_nearest(quantity, known)}")
    if quantity in SCALARS and part is not None:
        raise ValueError(f"{text!r}: {quantity} is one number; leave out .{part}")
    if quantity in DISTRIBUTIONS:
        try:
            Distribution(()).statistic(part or "")
        except ValueError:
            raise ValueError(f"{text!r}: {quantity} needs min, mean, max or pNN, as in {_EXAMPLE}") from None
    if quantity == "errors":
        classes = [name.value for name in FailureClass]
        if part not in classes:
            raise ValueError(f"{text!r}: there is no error class {part!r}{_nearest(part or '', classes)}")
    return Slo(text.strip(), quantity, part, comparison, float(bound))


def _nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there is: {', '.join(known)}"
