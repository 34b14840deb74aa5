"""What did the agent do? Counters, by the names that Promtail exposes (reference/agent.md §12).

Invariant: every entry that a pipeline was given is counted once as sent, dropped or held.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class AgentMetrics:
    """Counters of one agent; written by its reader and sender threads, read at any time."""

    read_lines: Counter[str] = field(default_factory=Counter)  # by path
    read_bytes: Counter[str] = field(default_factory=Counter)  # by path; offset reached
    files_active: int = 0
    targets_failed: Counter[str] = field(default_factory=Counter)  # by reason
    dropped_lines: Counter[str] = field(default_factory=Counter)  # by a stage, by reason
    dropped_entries: Counter[str] = field(default_factory=Counter)  # by the client, by reason
    dropped_bytes: Counter[str] = field(default_factory=Counter)
    mutated_entries: Counter[str] = field(default_factory=Counter)  # by reason
    sent_entries: Counter[str] = field(default_factory=Counter)  # by host
    sent_bytes: Counter[str] = field(default_factory=Counter)  # by host
    encoded_bytes: Counter[str] = field(default_factory=Counter)  # by host
    batch_retries: Counter[str] = field(default_factory=Counter)  # by host
    rotations: Counter[str] = field(default_factory=Counter)  # renamed, truncated, vanished
    positions_saved: int = 0
