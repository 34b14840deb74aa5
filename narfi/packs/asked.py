"""Do questions about samples have the right answers, and do a pack's own queries find things?"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from narfi.bundled.questions import read_queries, with_range
from narfi.core.errors import AppError
from narfi.packs.dashboard import dashboard_queries
from narfi.packs.samples import Question, SampleSet
from narfi.server.lab import Bench
from promtail_agent.packs.pack import Pack
from querier.result import Answer, ScalarResult, StreamsResult, VectorResult

TOLERANCE = 1e-9
_SPAN = f"{20 * 365 * 24}h"
"""Of saved queries: it holds every sample, whenever the test is run."""

Samples = Mapping[tuple[tuple[str, str], ...], float]


def range_of(samples: SampleSet, now_ns: int) -> str:
    """A range that covers all samples and now."""
    times = [e.time for s in samples.samples for e in s.entries if e.time is not None]
    first_s = min((datetime.fromisoformat(t[:19] + "+00:00").timestamp() for t in times), default=0)
    seconds = now_ns // 10**9 - int(first_s) if times else 0
    return f"{max(seconds, 0) + 3600}s"


def question_faults(samples: SampleSet, bench: Bench, tenant: str) -> Iterator[str]:
    """Point 4: each question of `queries.jsonl` gives its answer."""
    now_ns = time.time_ns() + 10**9
    span = range_of(samples, now_ns)
    for question in samples.questions:
        text = question.query.replace("$range", span)
        try:
            found = _numbers(bench.query(tenant, text, 0, now_ns))
        except AppError as error:
            yield f'"{question.ask}": {error.message}'
            continue
        wanted = _wanted(question)
        if not _same(found, wanted):
            yield f'"{question.ask}": the answer is {_shown(found)}, not {_shown(wanted)}'


def saved_faults(pack: Pack, bench: Bench, tenant: str | None) -> Iterator[str]:
    """Point 6: queries of `queries.yaml` and of the dashboard can be asked, and find something.

    Without a tenant they are only read.
    """
    now_ns = time.time_ns() + 10**9
    asked: dict[str, str] = {}
    for query in read_queries(pack):
        asked[query.text(pack.manifest.selector)] = f'query "{query.title}"'
    for title, text in dashboard_queries(pack):
        asked.setdefault(text, f'panel "{title}"')
    for text, what in asked.items():
        try:
            answer = bench.query(tenant or "nobody", with_range(text, _SPAN), 0, now_ns)
        except AppError as error:
            yield f"{what}: {error.message}"
            continue
        if tenant is not None and _is_empty(answer):
            yield f"{what}: finds nothing in the samples: {text}"


def _is_empty(answer: Answer) -> bool:
    match answer.result:
        case StreamsResult():
            return not answer.result.streams
        case VectorResult():
            return not answer.result.samples
        case _:
            return False


def _numbers(answer: Answer) -> Samples:
    match answer.result:
        case VectorResult():
            return {tuple(sorted(s.labels)): s.value for s in answer.result.samples}
        case ScalarResult():
            return {(): answer.result.value}
        case _:
            return {}


def _wanted(question: Question) -> Samples:
    return {tuple(sorted(labels.items())): value for labels, value in question.answer}


def _same(found: Samples, wanted: Samples) -> bool:
    return found.keys() == wanted.keys() and all(
        math.isclose(found[key], value, rel_tol=TOLERANCE, abs_tol=1e-12)
        for key, value in wanted.items()
    )


def _shown(samples: Samples) -> Sequence[tuple[dict[str, str], float]]:
    return [(dict(labels), value) for labels, value in sorted(samples.items())]
