"""`static_configs`: targets as the configuration lists them."""

from collections.abc import Sequence

from pydantic import Field, field_validator

from promtail_agent.config_base import Labels, Section
from promtail_agent.discovery.base import Target
from promtail_agent.stages.labels import check_label_name


class StaticTargets(Section):
    """Labels of a group of files; `__path__` says which."""

    targets: tuple[str, ...] = ()
    labels: Labels = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            check_label_name(name)
        return value


class StaticDiscovery:
    """Targets that never change."""

    def __init__(self, groups: Sequence[StaticTargets]) -> None:
        self._targets = [
            {"__address__": address, **group.labels}
            for group in groups
            for address in group.targets or ("localhost",)
        ]

    def start(self) -> None:
        """Nothing has to be begun."""

    def targets(self) -> Sequence[Target]:
        """All of them."""
        return self._targets

    def close(self) -> None:
        """Nothing has to be ended."""
