"""`metrics`: numbers of what passes by, shown on the agent's own `/metrics` (agent.md §11)."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, RootModel, field_validator, model_validator

from promtail_agent.custom_metrics import CustomMetric, Kind
from promtail_agent.durations import Duration, parse_duration_s
from promtail_agent.entry import AgentEntry, as_text
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext

EXAMPLE = """
metrics:
  requests_total:
    type: Counter
    description: requests by status
    config: {match_all: true, action: inc}
  duration_seconds:
    type: Histogram
    source: duration
    config: {buckets: [0.01, 0.1, 1]}
"""

_USED = {
    "counter": ("match_all", "count_entry_bytes", "value", "action"),
    "gauge": ("value", "action"),
    "histogram": ("value", "action", "buckets"),
}
"""Settings by type; Promtail ignores the others."""
DEFAULT_PREFIX = "promtail_custom_"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(StageConfig):
    """What counts, and how."""

    match_all: bool = False
    count_entry_bytes: bool = False
    value: str | None = None
    action: Annotated[Literal["", "inc", "dec", "add", "sub", "set"], BeforeValidator(_lower)] = ""
    buckets: tuple[float, ...] = ()

    @field_validator("value", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return value if value is None or isinstance(value, str) else as_text(value)


class Metric(StageConfig):
    """One metric; its value is the extracted one named `source`, else one of its own name."""

    type: Annotated[Kind, BeforeValidator(_lower)]
    description: str = ""
    source: str | None = None
    prefix: str = ""
    max_idle_duration: Duration = 300.0
    config: Settings = Field(default_factory=Settings)

    @classmethod
    def ignored_keys(cls, given: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
        """Settings of another type of metric."""
        used = _USED.get(str(given.get("type")).lower())
        settings = given.get("config")
        if used is None or not isinstance(settings, dict):
            return ()
        return [("config", key) for key in settings if key not in used]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        found = self.config
        if self.max_idle_duration < 1:
            raise ValueError("max_idle_duration must be greater or equal than 1s")
        allowed = {"counter": ("inc", "add"), "gauge": ("set", "inc", "dec", "add", "sub")}
        if self.type != "histogram" and found.action not in allowed[self.type]:
            actions = ", ".join(allowed[self.type])
            raise ValueError(f"action of a {self.type} must be one of {actions}")
        if found.match_all and found.value is not None:
            raise ValueError("a metric takes either match_all or value")
        if found.count_entry_bytes and not (found.match_all and found.action == "add"):
            raise ValueError("count_entry_bytes needs match_all and action add")
        if (found.match_all or found.count_entry_bytes) and self.type != "counter":
            raise ValueError("match_all and count_entry_bytes are of counters")
        if self.type == "histogram" and not found.buckets:
            raise ValueError("a histogram needs buckets")
        return self


class Config(RootModel[dict[str, Metric]]):
    """Metrics by name."""

    @field_validator("root")
    @classmethod
    def _names(cls, value: dict[str, Metric]) -> dict[str, Metric]:
        if not value:
            raise ValueError("metrics stage config cannot be empty")
        for name, metric in value.items():
            if _NAME.fullmatch((metric.prefix or DEFAULT_PREFIX) + name) is None:
                raise ValueError(f'"{name}" is no name of a metric')
        return value


class MetricsStage(EachEntry):
    """Counts; the entry stays as it is."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._metrics: list[tuple[str, Settings, CustomMetric]] = []
        for name, metric in config.root.items():
            found = context.metrics.custom.metric(
                (metric.prefix or DEFAULT_PREFIX) + name,
                metric.type,
                metric.description,
                metric.max_idle_duration,
                metric.config.buckets,
            )
            self._metrics.append((metric.source or name, metric.config, found))

    def apply(self, entry: AgentEntry) -> bool:
        """Let every metric look at the entry."""
        for source, settings, metric in self._metrics:
            _look(entry, source, settings, metric)
        return True


def _look(entry: AgentEntry, source: str, settings: Settings, metric: CustomMetric) -> None:
    labels = entry.labels.values
    if settings.match_all:
        metric.add(labels, float(len(entry.line)) if settings.count_entry_bytes else 1.0)
        return
    value = entry.extracted.get(source)
    text = as_text(value)
    if text is None or (settings.value is not None and text != settings.value):
        return
    if metric.kind != "histogram" and settings.action in ("inc", "dec"):
        metric.add(labels, 1.0 if settings.action == "inc" else -1.0)
        return
    number = as_number(value, text)
    if number is None or (metric.kind == "counter" and number < 0):
        return
    if metric.kind == "histogram":
        metric.observe(labels, number)
    elif settings.action == "set":
        metric.set(labels, number)
    else:
        metric.add(labels, -number if settings.action == "sub" else number)


def as_number(value: Any, text: str) -> float | None:
    """A number, a duration in seconds, 1 and 0 for a truth value; None for another text."""
    if isinstance(value, bool | int | float):
        return float(value)
    if text != text.strip() or "_" in text:  # Python's float takes more than Go's
        return None
    try:
        return float(text)
    except ValueError:
        pass
    size = text[1:] if text[:1] in ("+", "-") else text
    try:
        return -parse_duration_s(size) if text[:1] == "-" else parse_duration_s(size)
    except ValueError:
        return None


def build(config: Config, context: StageContext) -> MetricsStage:
    """The stage of a config."""
    return MetricsStage(config, context)
