"""`timestamp`: the entry's time from an extracted value.

On failure (`fudge`, the default) an entry takes the last good time of its labels plus 1 ns, so
that order is kept. `fraction_from_place` fills the digits that a time has not from the line's place
in its file: the same at every reading, and growing from line to line.
Source: reference/agent.md §11.
"""

from collections import OrderedDict

from pydantic import ValidationInfo, field_validator

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_text
from promtail_agent.times import fraction_digits, time_parser

EXAMPLE = """
timestamp:
  source: time
  format: RFC3339Nano
"""

_REMEMBERED_STREAMS = 10_000


class Config(StageConfig):
    """Which value, how it is written, and what to do when it is not."""

    source: str = ""
    format: str = ""
    fallback_formats: tuple[str, ...] = ()
    location: str = ""
    action_on_failure: str = "fudge"
    fraction_from_place: bool = False  # Promtail has no such option

    @field_validator("source", "format")
    @classmethod
    def _given(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "source":
            raise ValueError("timestamp source value is required if timestamp is specified")
        if not value:
            raise ValueError("timestamp format is required")
        return value

    @field_validator("location")
    @classmethod
    def _known(cls, value: str) -> str:
        time_parser("2006", value, StageContext().now)
        return value

    @field_validator("action_on_failure")
    @classmethod
    def _supported(cls, value: str) -> str:
        if value not in ("fudge", "skip"):
            raise ValueError("invalid action on failure (supported values are [skip fudge])")
        return value

    model_config = StageConfig.model_config | {"validate_default": True}


class TimestampStage(EachEntry):
    """Sets the time; never drops."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._source = config.source
        self._parsers = [
            time_parser(fmt, config.location, context.now)
            for fmt in (config.format, *config.fallback_formats)
        ]
        self._digits = [
            fraction_digits(fmt, config.location, context.now)
            for fmt in (config.format, *config.fallback_formats)
            if config.fraction_from_place
        ]
        self._fudge = config.action_on_failure == "fudge"
        self._last: OrderedDict[str, int] = OrderedDict()

    def apply(self, entry: AgentEntry) -> bool:
        """Set the time of the first format that fits."""
        text = source_text(entry.extracted, self._source)
        ts_ns = self._parse(text, entry) if text is not None else None
        if not self._fudge:
            entry.ts_ns = entry.ts_ns if ts_ns is None else ts_ns
            return True
        stream = entry.labels.text
        if ts_ns is None:
            last = self._last.get(stream)
            if last is None:
                return True
            ts_ns = last + 1
        entry.ts_ns = self._last[stream] = ts_ns
        self._last.move_to_end(stream)
        if len(self._last) > _REMEMBERED_STREAMS:
            self._last.popitem(last=False)
        return True

    def _parse(self, text: str, entry: AgentEntry) -> int | None:
        for number, parser in enumerate(self._parsers):
            ts_ns = parser(text)
            if ts_ns is None:
                continue
            if self._digits:
                ts_ns += entry.place % 10 ** (9 - min(self._digits[number](text), 9))
            return ts_ns
        return None


def build(config: Config, context: StageContext) -> TimestampStage:
    """The stage of a config."""
    return TimestampStage(config, context)
