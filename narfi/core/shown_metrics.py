"""How is shown what somebody else keeps? Metrics that are read there when they are asked.

For what is counted anyway, under a lock of its own: nothing is counted twice on a hot path. What is
shown by tenant is bounded: the largest ones.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import nlargest

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from narfi.core.tenant import TenantId

MOST_TENANTS = 100
"""That a metric shows."""


class ShownCounter(Collector):
    """A counter with one label, each value of which is read from where it is kept."""

    def __init__(self, name: str, text: str, label: str) -> None:
        """`name`: without `_total`."""
        self._name, self._text, self._label = name, text, label
        self._read: dict[str, Callable[[], float]] = {}
        REGISTRY.register(self)

    def show(self, value: str, read: Callable[[], float]) -> None:
        """Show what `read` returns for this value of the label; what was shown before is not."""
        self._read[value] = read

    def describe(self) -> Iterable[Metric]:
        """Without samples."""
        yield CounterMetricFamily(self._name, self._text, labels=[self._label])

    def collect(self) -> Iterable[Metric]:
        """With a sample for each value."""
        family = CounterMetricFamily(self._name, self._text, labels=[self._label])
        for value, read in list(self._read.items()):
            family.add_metric([value], read())
        yield family


class LargestTenants(Collector):
    """A gauge by tenant, of the `MOST_TENANTS` with the largest values."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._read: Callable[[], Mapping[TenantId, float]] = dict
        REGISTRY.register(self)

    def show(self, read: Callable[[], Mapping[TenantId, float]]) -> None:
        """Show what `read` returns; what was shown before is not."""
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Without samples."""
        yield GaugeMetricFamily(self._name, self._text, labels=["tenant"])

    def collect(self) -> Iterable[Metric]:
        """With a sample for each of the largest."""
        family = GaugeMetricFamily(self._name, self._text, labels=["tenant"])
        found = self._read()
        for tenant in nlargest(MOST_TENANTS, found, key=found.__getitem__):
            family.add_metric([tenant], found[tenant])
        yield family
