"""`drop`: leave out entries for which all given conditions hold.

Source: reference/agent.md §11.
"""

from typing import Any, Self

from pydantic import field_validator, model_validator

from narfi.core.errors import AppError
from narfi.core.regex import compile_regex
from promtail_agent.durations import ByteSize, Duration
from promtail_agent.entry import AgentEntry, as_bytes
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_text

EXAMPLE = """
drop:
  source: level
  value: debug
  drop_counter_reason: noise
"""


class Config(StageConfig):
    """Conditions (all must hold) and the reason to count under."""

    source: str | tuple[str, ...] | None = None
    separator: str = ";"
    value: str | None = None
    expression: str | None = None
    older_than: Duration | None = None
    longer_than: ByteSize | None = None
    drop_counter_reason: str = "drop_stage"

    @field_validator("expression")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            compile_regex(value or "")
        except AppError as error:
            raise ValueError(f"could not compile regular expression: {error.message}") from error
        return value

    @model_validator(mode="after")
    def _some(self) -> Self:
        conditions = (self.source, self.expression, self.older_than, self.longer_than)
        if all(condition is None for condition in conditions):
            raise ValueError(
                "drop stage config must contain at least one of "
                "`source`, `expression`, `older_than` or `longer_than`"
            )
        if self.value is not None and self.source is None:
            raise ValueError("drop stage `value` needs a `source`")
        if self.value is not None and self.expression is not None:
            raise ValueError("drop stage takes only one of `value` and `expression`")
        return self


class DropStage(EachEntry):
    """Drops and counts what matches."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._config = config
        sources = (config.source,) if isinstance(config.source, str) else config.source
        self._sources = sources or ()
        self._regex: Any = compile_regex(config.expression) if config.expression else None
        self._now = context.now
        self._dropped = context.metrics.dropped_lines

    def apply(self, entry: AgentEntry) -> bool:
        """False where all conditions hold."""
        if self._kept_by_size_or_age(entry) or self._kept_by_content(entry):
            return True
        self._dropped[self._config.drop_counter_reason] += 1
        return False

    def _kept_by_size_or_age(self, entry: AgentEntry) -> bool:
        config = self._config
        if config.longer_than is not None and len(entry.line) <= config.longer_than:
            return True
        if config.older_than is None:
            return False
        oldest_s = self._now().timestamp() - config.older_than
        return entry.ts_ns >= int(oldest_s * 1_000_000_000)

    def _kept_by_content(self, entry: AgentEntry) -> bool:
        if not self._sources:
            return self._regex is not None and self._regex.search(entry.line) is None
        values = [source_text(entry.extracted, source) for source in self._sources]
        present = [value for value in values if value is not None]
        if self._config.value is None and self._regex is None:
            return len(present) < len(values)
        if not present:
            return True
        joined = self._config.separator.join(present)
        if self._config.value is not None:
            return joined != self._config.value
        return self._regex.search(as_bytes(joined)) is None


def build(config: Config, context: StageContext) -> DropStage:
    """The stage of a config."""
    return DropStage(config, context)
