"""What did `metrics` stages count? Series by labels; idle ones are forgotten when shown.

Written by the reading thread, shown by the agent's own server: under one lock.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client.metrics_core import Metric

from promtail_agent.entry import as_text, valid_text

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Series:
    value: float = 0.0
    touched_s: float = 0.0
    buckets: list[int] = field(default_factory=list)  # not cumulative; the last is +Inf
    count: int = 0


class CustomMetric:
    """One metric and its series."""

    def __init__(
        self,
        *,
        name: str,
        kind: Kind,
        description: str,
        max_idle_s: float,
        buckets: Sequence[float],
        clock: Callable[[], float],
    ) -> None:
        self.name, self.kind, self.description = name, kind, description
        self._max_idle_s, self._clock = max_idle_s, clock
        self._bounds = sorted(buckets)
        self._series: dict[Labels, _Series] = {}
        self._lock = threading.Lock()

    def add(self, labels: Mapping[str, str], amount: float) -> None:
        """Add to the series of these labels."""
        with self._lock:
            self._of(labels).value += amount

    def set(self, labels: Mapping[str, str], value: float) -> None:
        """Replace the series' value."""
        with self._lock:
            self._of(labels).value = value

    def observe(self, labels: Mapping[str, str], value: float) -> None:
        """Put a value into its bucket."""
        with self._lock:
            series = self._of(labels)
            if not series.buckets:
                series.buckets = [0] * (len(self._bounds) + 1)
            series.buckets[bisect_left(self._bounds, value)] += 1
            series.value += value
            series.count += 1

    def _of(self, labels: Mapping[str, str]) -> _Series:
        key = tuple(sorted(p for p in labels.items() if not p[0].startswith("__")))
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.touched_s = self._clock()
        return series

    def family(self) -> Metric:
        """What is shown; series that were idle too long are gone from then on."""
        found = Metric(self.name, self.description, self.kind)
        name = self.name
        if self.kind == "counter" and name.endswith("_total"):
            found.name = name.removesuffix("_total")
        with self._lock:
            until_s = self._clock() - self._max_idle_s
            self._series = {k: s for k, s in self._series.items() if s.touched_s >= until_s}
            for key, series in self._series.items():
                labels = {name: valid_text(text) for name, text in key}
                if self.kind != "histogram":
                    found.add_sample(name, labels, series.value)
                    continue
                total = 0
                bounds = [as_text(float(b)) or "" for b in self._bounds]
                for bound, count in zip([*bounds, "+Inf"], series.buckets, strict=True):
                    total += count
                    found.add_sample(f"{name}_bucket", {**labels, "le": bound}, total)
                found.add_sample(f"{name}_sum", labels, series.value)
                found.add_sample(f"{name}_count", labels, series.count)
        return found


class CustomMetrics:
    """All of them; stages that name the same one share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._metrics: dict[str, CustomMetric] = {}

    def metric(
        self,
        name: str,
        kind: Kind,
        description: str,
        max_idle_s: float,
        buckets: Sequence[float] = (),
    ) -> CustomMetric:
        """The metric of a name, made where it is new."""
        found = self._metrics.get(name)
        if found is None or found.kind != kind:
            found = CustomMetric(
                name=name,
                kind=kind,
                description=description,
                max_idle_s=max_idle_s,
                buckets=buckets,
                clock=self._clock,
            )
            self._metrics[name] = found
        return found

    def families(self) -> Iterator[Metric]:
        """All of them, as they are shown."""
        return iter([metric.family() for metric in list(self._metrics.values())])
