"""`tenant`: whose entry is it? From a fixed value, an extracted value or a label.

Source: reference/agent.md §11.
"""

from typing import Self

from pydantic import model_validator

from promtail_agent.entry import TENANT_LABEL, AgentEntry
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext, source_text

EXAMPLE = """
tenant:
  source: customer_id
"""


class Config(StageConfig):
    """Exactly one of the three."""

    label: str = ""
    source: str = ""
    value: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [n for n in ("label", "source", "value") if getattr(self, n)]
        if not given:
            raise ValueError("label, source or value config are required")
        if len(given) > 1:
            text = ", ".join(given)
            raise ValueError(f"label, source and value are mutually exclusive: {text} are given")
        return self


class TenantStage(EachEntry):
    """Sets the tenant label; an empty value changes nothing."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def apply(self, entry: AgentEntry) -> bool:
        """Set the tenant where one is found."""
        config = self._config
        if config.value:
            tenant: str | None = config.value
        elif config.source:
            tenant = source_text(entry.extracted, config.source)
        else:
            tenant = entry.labels.values.get(config.label)
        if tenant:
            entry.labels = entry.labels.with_label(TENANT_LABEL, tenant)
        return True


def build(config: Config, _context: StageContext) -> TenantStage:
    """The stage of a config."""
    return TenantStage(config)
