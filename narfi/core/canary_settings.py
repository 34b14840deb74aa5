"""Does the server test itself with lines of its own? `canary: on` is short for its defaults."""

from pydantic import Field

from narfi.core.setting_types import DurationNs, SettingsModel


class CanarySettings(SettingsModel):
    """Lines that are written and looked for again and again."""

    enabled: bool = False
    """Whether lines are written; `canary: on` means this."""
    interval: DurationNs = Field(default=10 * 10**9, ge=10**9)
    """Between two lines."""
    late_after: DurationNs = Field(default=30 * 10**9, ge=10**9)
    """After so long a line that was not found or heard counts as missing."""
    tenant: str = "narfi-canary"
    """Whose lines they are with `tenancy: header`."""


def canary_of(value: object) -> object:
    """The section that a switch means; anything else as it is."""
    return {"enabled": value} if isinstance(value, bool | str) else value
