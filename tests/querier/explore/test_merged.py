"""Do blocks answer alike before and after they are merged, and as the twins count?"""

from pathlib import Path

import pytest

from logql import ast
from logql.parser import parse
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.distribution import distribution_of
from querier.explore.facets import FacetsAsked, facets_of
from querier.explore.fields import Source, fields_of
from querier.explore.histogram import histogram_of
from querier.explore.question import Question
from querier.explore.top_patterns import top_patterns
from querier.rules import ALL_RULES
from storage.block.merge_rows import Kept
from storage.sorting import merge_batches
from tests.querier.explore.test_fields import MIXED
from tests.querier.test_engine import TENANT, options
from tests.querier.test_service import Nothing
from tests.reference import exploring, facets
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS
from tests.storage.stored import Stored

NAMES = ("app", "status", "path", "level", "user_id", "ok")
TEXTS = ('{app=~".+"}', '{app=~".+"} | json', '{app=~"api|web"} |= "status" | level!="x"')


def answers(question: Question) -> dict[str, object]:
    """To compare."""
    asked = FacetsAsked(names=NAMES, limit=7, in_lines=True)
    found = facets_of(question, asked)
    by_status = histogram_of(question, 9, "status")
    patterns = top_patterns(question, 20, 4, compare=False)
    columns = [f for f in fields_of(question)[0] if f.source is Source.COLUMN]
    return {
        "facets": {f.name: (f.name, list(f.top), f.distinct, f.other, f.missing) for f in found},
        "parsers": {f.name: f.parser for f in found},
        "histogram": [(value, counts.tolist()) for value, counts in by_status.series],
        "distribution": distribution_of(question, "took_ms"),
        "patterns": [(p.text, p.level, p.counts.tolist()) for p in patterns.patterns],
        "fields": {(f.name, f.parser): (f.rows, f.type) for f in columns},
    }


@pytest.mark.parametrize("text", TEXTS)
def test_merged_blocks(tmp_path: Path, executor: LocalExecutor, text: str) -> None:
    stored = Stored(tmp_path)
    again = MIXED[5::7]  # is in several blocks, and counts once
    for number, part in enumerate((MIXED[::2], MIXED[1::2], again)):
        row = stored.store.write(merge_batches([batch_of(part)]), TENANT, f"cut{number}")
        stored.store.publish([row], [])
    engine = Engine(Nothing(), stored.store, executor)
    whole = options(START_NS, START_NS + NS, ALL_RULES)
    before = engine.explore(text, whole, answers).value
    query = parse(text)
    assert isinstance(query, ast.LogQuery)
    for name in NAMES:
        rows = exploring.rows_by(query, MIXED, before["parsers"][name])  # type: ignore[index]
        assert before["facets"][name] == facets.facet(rows, name, 7)  # type: ignore[index]
    old = stored.rows()
    with stored.store.opened(old) as sources:
        merged = stored.store.rewrite([Kept(s, None) for s in sources], TENANT, "merged", 1)
    assert merged is not None
    stored.catalog.replace([one.block_id for one in old], [merged])
    assert len(stored.rows()) == 1
    assert engine.explore(text, whole, answers).value == before
    stored.close()
