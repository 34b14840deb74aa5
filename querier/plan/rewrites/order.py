"""Which rewrites are there, and in which order are they taken? One for each `Rule`.

The order: first what changes which stages run (`SEARCH_PREFIX`, then `STREAM_ENDS`, which needs
none), then what is read for the stages that are left; the last two look at the finished plan.
Any of them may be left out, and the answer is the same (tests/conformance).
"""

from collections.abc import Mapping
from typing import TypeVar

from querier.plan.nodes import Plan
from querier.plan.rewrites.base import Rewrite
from querier.plan.rewrites.early_stop import early_stop
from querier.plan.rewrites.literal_pruning import literal_pruning
from querier.plan.rewrites.search_prefix import search_prefix
from querier.plan.rewrites.shape_columns import shape_columns
from querier.plan.rewrites.stream_counts import stream_counts
from querier.plan.rewrites.stream_ends import stream_ends
from querier.plan.rewrites.unread_lines import unread_lines
from querier.plan.rewrites.unread_metadata import unread_metadata
from querier.rules import Rule, Rules

P = TypeVar("P", bound=Plan)

REWRITES: Mapping[Rule, Rewrite] = {
    Rule.SEARCH_PREFIX: search_prefix,
    Rule.STREAM_ENDS: stream_ends,
    Rule.LITERAL_PRUNING: literal_pruning,
    Rule.SHAPE_COLUMNS: shape_columns,
    Rule.UNREAD_LINES: unread_lines,
    Rule.UNREAD_METADATA: unread_metadata,
    Rule.EARLY_STOP: early_stop,
    Rule.STREAM_COUNTS: stream_counts,
}


def rewritten(plan: P, rules: Rules) -> tuple[P, frozenset[Rule]]:
    """The plan after all rewrites that may be taken, and which of them changed it."""
    changed: set[Rule] = set()
    for rule, rewrite in REWRITES.items():
        if rule in rules:
            after = rewrite(plan)
            assert isinstance(after, type(plan)), "a rewrite keeps the root"
            if after is not plan and after != plan:
                changed.add(rule)
                plan = after
    return plan, frozenset(changed)
