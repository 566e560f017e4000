"""Charts as inline SVG: lines over an axis, with nothing to load and nothing to run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 40
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed")

Point = tuple[float, float | None]


@dataclass(frozen=True)
class Line:
    """One line of a chart; where a value is None it is interrupted."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis. `ticks` are the positions and texts along the x axis."""

    title: str
    unit: str
    lines: Sequence[Line]
    x_name: str
    ticks: Sequence[tuple[float, str]]

    def svg(self) -> str:
        """Return the chart; without a single value a sentence that says so."""
        values = [y for line in self.lines for _, y in line.points if y is not None]
        spots = [x for line in self.lines for x, _ in line.points]
        if not values:
            return f"<h2>{escape(self.title)}</h2><p>Nothing was seen.</p>"
        top = _nice(max(values)) or 1.0
        low, high = min(spots), max(spots)
        span = (high - low) or 1.0

        def x_at(x: float) -> float:
            return _LEFT + (x - low) / span * (_WIDTH - _LEFT - _RIGHT)

        def y_at(y: float) -> float:
            return _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM)

        parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(self.title)}">']
        for step in range(5):
            value = top * step / 4
            y = y_at(value)
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        for place, text in self.ticks:
            x = x_at(place)
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{escape(text)}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(self.x_name)}</text>'
        )
        for line, colour in zip(self.lines, COLOURS, strict=False):
            for run in _runs(line.points):
                places = [f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in run]
                # A stretch of one value has no length; doubled, its round end shows as a dot.
                where = " ".join(places if len(places) > 1 else places * 2)
                shape = f'<polyline points="{where}" stroke="{colour}"/>'
                parts.append(shape)
        parts.append("</svg>")
        legend = "".join(
            f'<span><i style="background:{colour}"></i>{escape(line.name)}</span>'
            for line, colour in zip(self.lines, COLOURS, strict=False)
        )
        title = f"<h2>{escape(self.title)} <small>{escape(self.unit)}</small></h2>"
        return f'{title}<p class="legend">{legend}</p>{"".join(parts)}'


def _runs(points: Sequence[Point]) -> list[list[tuple[float, float]]]:
    """Return the stretches of a line that have values."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _nice(value: float) -> float:
    """Return the next number whose quarters are easy to read."""
    if value <= 0:
        return 0.0
    magnitude: float = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 4, 6, 8, 10) if step * magnitude >= value * 0.999)
