"""`limit`: a token bucket for all entries, or one per value of a label (agent.md §11)."""

import time
from collections import OrderedDict
from typing import Self

from pydantic import model_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext

EXAMPLE = """
limit:
  rate: 100
  burst: 200
  drop: true
"""

MIN_DISTINCT = 10_000


class Config(StageConfig):
    """Entries per second, and how many at once."""

    rate: float = 0.0
    burst: int = 0
    drop: bool = False
    by_label_name: str = ""
    max_distinct_labels: int = MIN_DISTINCT

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.rate <= 0 or self.burst <= 0:
            raise ValueError("limit stage failed to parse rate or burst")
        if self.by_label_name and not self.drop:
            raise ValueError("When ratelimiting by label, drop must be true")
        return self


class LimitStage(EachEntry):
    """Waits, or drops and counts, when the bucket is empty."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._config = config
        self._dropped = context.metrics.dropped_lines
        self._by_label = context.metrics.dropped_by_label
        self._stop = context.stop
        self._most = max(config.max_distinct_labels, MIN_DISTINCT)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of s

    def apply(self, entry: AgentEntry) -> bool:
        """False where the entry is over the limit."""
        key = ""
        if self._config.by_label_name:
            value = entry.labels.values.get(self._config.by_label_name)
            if value is None:
                return True
            key = value
        wait_s = self._take(key)
        if wait_s <= 0:
            return True
        if self._config.drop:
            self._dropped["ratelimit_drop_stage"] += 1
            if self._config.by_label_name:
                self._by_label[self._config.by_label_name, key] += 1
            return False
        self._stop.wait(wait_s)
        self._take(key)
        return True

    def _take(self, key: str) -> float:
        """0 when a token was there, else how long until there is one."""
        now_s = time.monotonic()
        tokens, then_s = self._buckets.get(key, (float(self._config.burst), now_s))
        tokens = min(self._config.burst, tokens + (now_s - then_s) * self._config.rate)
        taken = tokens >= 1 - 1e-9
        self._buckets[key] = (tokens - 1 if taken else tokens, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - tokens) / self._config.rate


def build(config: Config, context: StageContext) -> LimitStage:
    """The stage of a config."""
    return LimitStage(config, context)
