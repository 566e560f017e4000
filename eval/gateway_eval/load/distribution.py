"""Percentiles of raw samples."""

from collections.abc import Iterable
from typing import Any

SHOWN = (50.0, 90.0, 95.0, 99.0, 99.9)


class Distribution:
    """All samples of one quantity, in order."""

    def __init__(self, samples: Iterable[float]) -> None:
        self._sorted = sorted(samples)

    def __len__(self) -> int:
        return len(self._sorted)

    def quantile(self, percent: float) -> float | None:
        """Return the smallest sample that so many percent do not exceed (nearest rank); None without any.

        `percent` counts to two decimals.
        """
        if not self._sorted:
            return None
        rank = -(-round(percent * 100) * len(self._sorted) // 10_000)
        return self._sorted[max(rank, 1) - 1]

    @property
    def minimum(self) -> float | None:
        """The smallest sample."""
        return self._sorted[0] if self._sorted else None

    @property
    def maximum(self) -> float | None:
        """The largest sample."""
        return self._sorted[-1] if self._sorted else None

    @property
    def mean(self) -> float | None:
        """The arithmetic mean."""
        return sum(self._sorted) / len(self._sorted) if self._sorted else None

    def statistic(self, name: str) -> float | None:
        """Return `min`, `mean`, `max` or a percentile such as `p99.9`. Raises ValueError for others."""
        match name:
            case "min":
                return self.minimum
            case "mean":
                return self.mean
            case "max":
                return self.maximum
        percent = float(name[1:]) if name.startswith("p") else -1.0
        if not 0 < percent <= 100:
            raise ValueError(name)
        return self.quantile(percent)

    def as_dict(self) -> dict[str, Any]:
        """Return count, extremes, mean and percentiles, to the microsecond where samples are milliseconds."""
        found: dict[str, Any] = {"count": len(self), "min": self.minimum, "mean": self.mean}
        found |= {f"p{percent:g}": self.quantile(percent) for percent in SHOWN}
        found["max"] = self.maximum
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}
