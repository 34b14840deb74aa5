"""Which shortcuts may the planner take? Each can be switched off, and must never be noticed.

`querier.rules_off` in the settings names rules that are not to be used: for finding out whether a
rule is to blame, and for the tests that run every recorded case with each rule off.
"""

from enum import StrEnum


class Rule(StrEnum):
    """One rewrite of the plan that leaves the answer as it is."""

    LITERAL_PRUNING = "literal-pruning"
    """Row groups that cannot hold a literal of the line filters are not read."""
    SHAPE_COLUMNS = "shape-columns"
    """Filters and parsers are answered from typed columns where that is equal to decoding."""
    UNREAD_LINES = "unread-lines"
    """Lines are not read where no stage looks at them."""
    UNREAD_METADATA = "unread-metadata"
    """Structured metadata that nothing looks at is not read."""
    SEARCH_PREFIX = "search-prefix"
    """Log queries run only the stages that drop rows until the rows of the answer are known."""
    STREAM_ENDS = "stream-ends"
    """Without a stage that drops rows, the answer is cut from the ends of the streams."""
    EARLY_STOP = "early-stop"
    """Row groups behind the last row of a full answer are not read."""
    STREAM_COUNTS = "stream-counts"
    """Counts and bytes by stream labels are bisected from timestamps; no rows are read."""


Rules = frozenset[Rule]

ALL_RULES: Rules = frozenset(Rule)


def rules_without(off: tuple[Rule, ...]) -> Rules:
    """All rules but some."""
    return ALL_RULES - set(off)
