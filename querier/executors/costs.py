"""What will the leaf tasks of a query take? As long as those of the same question took before.

Dashboards and alerts ask the same again and again, so a heavy query is mostly known before it takes
anything. A question is known by its canonical text and by what is computed, whatever its times.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from querier.plan.spec import LeafSpec

MOST_KNOWN = 1000
"""Questions; the oldest are forgotten."""
TASK_BYTES = 1 << 16
"""What a task costs beside its lines, as lines: those that read none have only that."""

Question = tuple[str, str]
"""The text of the selector with its stages, and what is computed."""


class Costs:
    """Seconds of a thread for each byte of tasks, by question; thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[Question, float] = OrderedDict()
        self._lock = threading.Lock()

    def expected_s(self, specs: Sequence[LeafSpec[Any]]) -> float:
        """Of all tasks of a query; 0 for a question that was never asked."""
        if not specs:
            return 0.0
        with self._lock:
            return self._known.get(question_of(specs[0]), 0.0) * size_of(specs)

    def learn(self, specs: Sequence[LeafSpec[Any]], spent_s: float) -> None:
        """Tasks of one question, at least one, took so long."""
        question, rate = question_of(specs[0]), spent_s / size_of(specs)
        with self._lock:
            self._known[question] = rate
            self._known.move_to_end(question)
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)


def question_of(spec: LeafSpec[Any]) -> Question:
    """Of a task; functions of samples may cost more or less than others, so they are part of it."""
    compute = spec.compute
    return spec.scan.query, f"{type(compute).__name__} {getattr(compute, 'op', '')}"


def size_of(specs: Sequence[LeafSpec[Any]]) -> int:
    """Bytes of tasks, about."""
    return sum(spec.line_bytes for spec in specs) + len(specs) * TASK_BYTES
