"""Is a question that was heavy before known to be heavy, whatever its times, and no other?"""

import numpy as np
import pytest

from logql import ast
from logql.parser import parse
from narfi.core.limits import Limits
from querier.budget import Allowance
from querier.executors import costs
from querier.executors.costs import TASK_BYTES, Costs
from querier.logs.leaves import FindRows
from querier.plan.build import log_plan
from querier.plan.spec import LeafSpec, Rows, SourceSpec, scan_spec
from querier.query import QueryOptions
from tests.querier.test_engine import TENANT

NONE = Rows(np.zeros(0, np.int64))
FIND = FindRows(limit=1, backward=True)


def tasks(text: str, sizes: list[int], end_ns: int = 100) -> list[LeafSpec[FindRows]]:
    """Tasks of so many line bytes."""
    query = parse(text)
    assert isinstance(query, ast.LogQuery)
    options = QueryOptions(tenants=(TENANT,), start_ns=0, end_ns=end_ns, step_ns=1, limits=Limits())
    scan = scan_spec(log_plan(query, options).scan)
    source = SourceSpec(source_id="b", order=0, excluded=NONE, left_out=NONE)
    return [
        LeafSpec(scan=scan, source=source, compute=FIND, allowance=Allowance(), line_bytes=size)
        for size in sizes
    ]


def test_a_question_costs_by_its_bytes_what_it_cost_before() -> None:
    found = Costs()
    asked = tasks('{a="b"} |= "x"', [10 << 20] * 4)
    assert found.expected_s(asked) == 0
    found.learn(asked[:2], 1.0)
    assert found.expected_s(asked) == pytest.approx(2.0)
    assert found.expected_s(tasks('{a="b"} |= "x"', [10 << 20], 999)) == pytest.approx(0.5)
    assert found.expected_s([]) == 0
    found.learn(asked, 0.4)
    assert found.expected_s(asked) == pytest.approx(0.4)


def test_a_new_question_costs_what_the_cheapest_of_its_kind_did() -> None:
    """With the same stages and other words; cheap ones are forgotten."""
    found, size = Costs(), 10 << 20
    one, other, new = (tasks(f'{{a="b"}} |= "{n}" | json', [size]) for n in range(3))
    found.learn(one, 4.0)
    assert found.expected_s(new) == pytest.approx(4.0)
    found.learn(other, 1.0)
    assert found.expected_s(new) == pytest.approx(1.0)
    for count in range(1, 100):
        found.learn(one, 4.0)
        assert found.expected_s(new) == pytest.approx(min(1.1**count, 4.0))
    assert found.expected_s(other) == pytest.approx(1.0)
    for text in ('{a="b"} |= "2"', '{a="b"} | json', '{a="b"} |= "2" | logfmt'):
        assert found.expected_s(tasks(text, [size])) == 0
    assert found.expected_s([new[0].computing(("another",))]) == 0


def test_tasks_that_read_no_lines_cost_by_their_number() -> None:
    found = Costs()
    asked = tasks('{a="b"}', [0] * 3)
    found.learn(asked, 0.3)
    assert found.expected_s(asked[:1]) == pytest.approx(0.1)
    assert found.expected_s(tasks('{a="b"}', [TASK_BYTES])) == pytest.approx(0.2)


def test_other_computations_are_other_questions() -> None:
    found = Costs()
    (asked,) = tasks('{a="b"}', [100])
    found.learn([asked], 1.0)
    assert found.expected_s([asked.computing(("another",))]) == 0


def test_few_questions_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "MOST_KNOWN", 2)
    found = Costs()
    asked = [tasks(f'{{a="b"}} {stage}', [100]) for stage in ("", "| json", "| logfmt")]
    for one in (asked[0], asked[1], asked[0], asked[2]):
        found.learn(one, 1.0)
    assert [found.expected_s(one) > 0 for one in asked] == [True, False, True]
