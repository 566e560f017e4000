"""A trend in a few characters."""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def spark_line(values: Sequence[float]) -> str:
    """A bar per value, from none to the largest; empty where there is nothing to compare."""
    top = max(values, default=0)
    if top <= 0:
        return ""
    return "".join(_BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)] for value in values)
