"""What is too much for the agent? (reference/agent.md §5)"""

import threading
import time
from collections.abc import Callable

from pydantic import Field

from promtail_agent.config_base import Section
from promtail_agent.durations import ByteSize

RATE_DROP_REASON = "global_rate_limiter_drop"


class LimitsConfig(Section):
    """The section `limits_config`."""

    readline_rate_enabled: bool = False
    readline_rate: float = Field(default=10_000, gt=0)
    """Lines in a second, of all jobs, after their stages."""
    readline_burst: int = Field(default=10_000, gt=0)
    readline_rate_drop: bool = True
    """Drop lines beyond the rate; else reading waits."""
    max_streams: int = Field(default=0, ge=0)
    """Streams in one batch; 0: no limit."""
    max_line_size: ByteSize = 0
    """Bytes; 0: no limit. Longer lines are dropped, or cut where so configured."""
    max_line_size_truncate: bool = False


class LineRate:
    """A token bucket for all lines; used by one thread."""

    def __init__(self, limits: LimitsConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._tokens, self._then_s = float(limits.readline_burst), clock()

    def allows(self, stop: threading.Event) -> bool:
        """Take a token, waiting for it unless lines are dropped instead."""
        limits = self._limits
        while True:
            now_s = self._clock()
            grown = self._tokens + (now_s - self._then_s) * limits.readline_rate
            self._tokens, self._then_s = min(float(limits.readline_burst), grown), now_s
            if self._tokens >= 1 - 1e-9:
                self._tokens -= 1
                return True
            if limits.readline_rate_drop:
                return False
            if stop.wait((1 - self._tokens) / limits.readline_rate):
                return True
