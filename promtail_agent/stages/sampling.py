"""`sampling`: a random share of the entries (agent.md §11)."""

import random

from pydantic import field_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext

EXAMPLE = """
sampling:
  rate: 0.25
"""


class Config(StageConfig):
    """The share that stays."""

    rate: float
    drop_counter_reason: str = "sampling_stage"

    @field_validator("rate")
    @classmethod
    def _is_share(cls, value: float) -> float:
        if not 0 <= value <= 1:
            raise ValueError(
                "sampling stage failed to parse rate,Sampling Rate must be between 0.0 and 1.0, "
                f"received {value:f}"
            )
        return value


class SamplingStage(EachEntry):
    """Keeps entries at random; counts the others."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._config, self._dropped = config, context.metrics.dropped_lines

    def apply(self, _entry: AgentEntry) -> bool:
        """Whether the entry stays."""
        if random.random() < self._config.rate:
            return True
        self._dropped[self._config.drop_counter_reason] += 1
        return False


def build(config: Config, context: StageContext) -> SamplingStage:
    """The stage of a config."""
    return SamplingStage(config, context)
