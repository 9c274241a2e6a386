"""Counters, gauges and histograms in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a histogram's buckets, in seconds."""
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What the service counts. For one thread."""

    def __init__(self) -> None:
        self._help: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, dict[Labels, float]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._times: dict[str, dict[Labels, list[float]]] = {}

    def counter(self, name: str, meaning: str) -> None:
        """Declare a counter."""
        self._help[name] = (meaning, "counter")
        self._counts[name] = {}

    def gauge(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Declare a gauge, which is asked when it is shown."""
        self._help[name] = (meaning, "gauge")
        self._gauges[name] = value

    def histogram(self, name: str, meaning: str) -> None:
        """Declare a histogram of seconds."""
        self._help[name] = (meaning, "histogram")
        self._times[name] = {}

    def add(self, name: str, by: float = 1, **labels: str) -> None:
        """Count."""
        of, key = self._counts[name], tuple(sorted(labels.items()))
        of[key] = of.get(key, 0) + by

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Put a duration into its bucket."""
        cells = self._times[name].setdefault(tuple(sorted(labels.items())), [0.0] * (len(BUCKETS) + 2))
        cells[bisect_left(BUCKETS, seconds)] += 1
        cells[-1] += seconds

    def text(self) -> str:
        """Return all, as Prometheus reads it."""
        lines: list[str] = []
        for name, (meaning, kind) in self._help.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            if name in self._gauges:
                lines.append(f"{name} {self._gauges[name]():g}")
            for labels, value in self._counts.get(name, {}).items():
                lines.append(f"{name}{_braces(dict(labels))} {value:g}")
            for labels, cells in self._times.get(name, {}).items():
                lines += _histogram(name, dict(labels), cells)
        return "\n".join(lines) + "\n"


def _histogram(name: str, labels: Mapping[str, str], cells: list[float]) -> list[str]:
    lines, below = list[str](), 0.0
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], cells, strict=False):
        below += count
        lines.append(f"{name}_bucket{_braces({**labels, 'le': bound})} {below:g}")
    return [*lines, f"{name}_sum{_braces(labels)} {cells[-1]:g}", f"{name}_count{_braces(labels)} {below:g}"]


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""
