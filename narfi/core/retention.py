"""How long are entries of which streams kept? Loki's `retention_stream` (ingest-rules.md §7)."""

from dataclasses import dataclass

from narfi.core.matchers import Matcher

DAY_NS = 24 * 3600 * 10**9
MIN_STREAM_PERIOD_NS = DAY_NS
"""As in Loki; below it, deletes are the tool."""


@dataclass(frozen=True, slots=True)
class StreamRetention:
    """One item of the limit `retention_stream`, as written."""

    selector: str  # label matchers, as in a query
    priority: int
    period_ns: int


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """The same with its selector read."""

    matchers: tuple[Matcher, ...]
    priority: int
    period_ns: int


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The periods of one tenant, in ns; of the rules that match a stream, the first decides.

    Invariant: rules are in order of falling priority, of equal ones the shorter period first.
    """

    period_ns: int  # of streams that no rule matches; 0: kept for ever
    rules: tuple[RetentionRule, ...] = ()

    def __post_init__(self) -> None:
        ordered = sorted(self.rules, key=lambda rule: (-rule.priority, rule.period_ns))
        object.__setattr__(self, "rules", tuple(ordered))
