"""What will the leaf tasks of a query take? As long as those of the same question took before.

Dashboards and alerts ask the same again and again, so a heavy query is mostly known before it takes
anything. A question is known by its canonical text and by what is computed, whatever its times and
whoever asks. One that was never asked takes as much as the cheapest of its kind (the same stages in
the same order, with other words) took lately: where all of a kind were heavy, the next one is too.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from logql.ast import LogQuery
from logql.parser import parse
from querier.plan.spec import LeafSpec

MOST_KNOWN = 1000
"""Questions, and kinds of them; the oldest are forgotten."""
TASK_BYTES = 1 << 16
"""What a task costs beside its lines, as lines: those that read none have only that."""
FORGOTTEN = 1.1
"""The cheapest of a kind counts so much more with each other one: a single cheap question, whose
needle no block has, does not hide for ever that the others are heavy."""

Question = tuple[str, ...]
"""The text of the selector with its stages, or the stages alone, and what is computed."""


class Costs:
    """Seconds of a thread for each byte of tasks, by question; thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[Question, float] = OrderedDict()
        self._kinds: OrderedDict[Question, float] = OrderedDict()
        self._lock = threading.Lock()

    def expected_s(self, specs: Sequence[LeafSpec[Any]]) -> float:
        """Of all tasks of a query; 0 where neither the question nor its kind was ever asked."""
        if not specs:
            return 0.0
        with self._lock:
            rate = self._known.get(question_of(specs[0]))
            if rate is None:  # no text is parsed for it before something was heavy
                rate = self._kinds.get(kind_of(specs[0]), 0.0) if self._kinds else 0.0
            return rate * size_of(specs)

    def learn(self, specs: Sequence[LeafSpec[Any]], spent_s: float) -> None:
        """Tasks of one question, at least one, took so long."""
        question, kind, rate = question_of(specs[0]), kind_of(specs[0]), spent_s / size_of(specs)
        with self._lock:
            _remember(self._known, question, rate)
            cheapest = self._kinds.get(kind, rate)
            _remember(self._kinds, kind, min(rate, cheapest * FORGOTTEN))


def _remember(known: OrderedDict[Question, float], key: Question, rate: float) -> None:
    known[key] = rate
    known.move_to_end(key)
    while len(known) > MOST_KNOWN:
        known.popitem(last=False)


def question_of(spec: LeafSpec[Any]) -> Question:
    """Of a task; functions of samples may cost more or less than others, so they are part of it."""
    return spec.scan.query, *_computed(spec)


def kind_of(spec: LeafSpec[Any]) -> Question:
    """Of a task: its question without words."""
    return *_stages(spec.scan.query), *_computed(spec)


def _computed(spec: LeafSpec[Any]) -> Question:
    compute = spec.compute
    return type(compute).__name__, getattr(compute, "op", "")


@lru_cache(MOST_KNOWN)
def _stages(text: str) -> Question:
    query = parse(text)
    assert isinstance(query, LogQuery)
    return tuple(type(stage).__name__ for stage in query.stages)


def size_of(specs: Sequence[LeafSpec[Any]]) -> int:
    """Bytes of tasks, about."""
    return sum(spec.line_bytes for spec in specs) + len(specs) * TASK_BYTES
