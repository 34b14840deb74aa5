"""Does `explain` tell what was read, and is the answer the same with it?"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from logql import ast
from logql.format import format_expr
from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.http_api.encode import encode_answer
from querier.http_api.explain import explain_object
from querier.query import QueryOptions
from querier.rules import ALL_RULES, Rule, Rules
from storage.catalog.sql import SqlCatalog
from storage.memory_source import MemorySource
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from tests.querier.test_engine import METRICS, PARTS, RULES, TENANT, _Sources, engine_of, options
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.storage.blocks import LAYOUTS, small_groups


def lines(app: str, first_s: int, count: int) -> list[Entry]:
    """Ten-byte lines, one a second."""
    return [
        ({"app": app}, {"level": "info"}, START_NS + (first_s + k) * NS, b"%010d" % (first_s + k))
        for k in range(count)
    ]


@pytest.fixture(params=LAYOUTS, ids=str)
def engine(
    tmp_path: Path, executor: LocalExecutor, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    """A block of 30 s of a and b in groups of 20 rows, one of c, a head with 10 s of a."""
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db")
    objects = LocalObjects(tmp_path / "objects")
    services = StoreServices(catalog, objects, ManualClock(1))
    store = BlockStore(services, 1 << 20, layout=request.param)
    with small_groups(20):
        for number, part in enumerate([lines("a", 0, 30) + lines("b", 0, 30), lines("c", 0, 30)]):
            run = merge_batches([batch_of(part)])
            store.publish([store.write(run, TENANT, f"cut{number}")], [])
    head = MemorySource(merge_batches([batch_of(lines("a", 30, 10))]), "head", "head")
    yield Engine(_Sources([head]), store, executor)
    catalog.close()


def explained(
    engine: Engine, text: str, rules: Rules = ALL_RULES, **more: object
) -> dict[str, Any]:
    """The explanation of a query over 100 s."""
    asked = options(START_NS, START_NS + 100 * NS, rules, **more)
    answer = engine.run(text, replace(asked, explain=True))
    assert answer.explanation is not None
    return explain_object(answer, answer.explanation)


def test_log_query(engine: Engine) -> None:
    plan = explained(engine, '{app="a"} | json |= "3" | level = "info"', limit=1000)
    (read,) = plan["reads"]
    assert read["query"] == '{app="a"} | json |= "3" | level="info"'
    assert read["stages"] == ['|= "3"', "| json", '| level="info"']
    assert read["fetchStages"] == read["stages"]
    assert set(read["rules"]) == {Rule.LITERAL_PRUNING, Rule.SEARCH_PREFIX, Rule.UNREAD_METADATA}
    assert read["sources"] == {
        "head": {"considered": 1, "pruned": 0, "read": 1},
        "block": {"considered": 2, "pruned": 1, "read": 1},
    }
    assert read["rowGroups"] == {"pruned": 1, "read": 3}  # rows 0-19 and 20-39 hold a; and the head
    found = sum("3" in f"{k:010d}" for k in range(40))
    stored = sum("3" in f"{k:010d}" for k in range(30))
    assert read["rows"] == {
        "all": 100,
        "pruned": 60,
        "prunedByLiterals": 0,
        "counted": 0,
        "read": 40,
        "passed": found,
        "fetched": found,
        "decoded": 30 + stored,  # lines of a head are bytes already
        "returned": found,
    }
    loaded = read["bytes"].pop("loaded")
    assert 2 * 20 * 10 < loaded < 5000
    assert read["bytes"] == {
        "all": 1000,
        "pruned": 600,
        "read": 400,
        "fetched": found * 10,
        "decoded": (30 + stored) * 10,
        "returned": found * 10,
    }
    assert plan["returned"] == {"entries": found, "bytes": found * 10}
    assert list(plan["phases"]) == ["parse", "view", "plan", "scan", "fetch"]
    assert list(read["phases"]) == ["view", "plan", "scan", "fetch"]
    assert 0 < sum(plan["phases"].values()) <= plan["execTime"]
    again = explained(engine, '{app="a"} | json |= "3" | level = "info"', limit=1000)
    assert again["reads"][0]["bytes"]["loaded"] == 0  # remembered


def test_early_stop_leaves_row_groups_out(engine: Engine) -> None:
    read = explained(engine, '{app="a"} |= "0"', limit=15)["reads"][0]
    assert Rule.EARLY_STOP in read["rules"]
    assert read["sources"]["block"] == {"considered": 2, "pruned": 1, "read": 1}
    assert read["rowGroups"] == {"pruned": 2, "read": 2}
    assert read["rows"]["returned"] == 15
    ends = explained(engine, '{app="a"}', limit=5)["reads"][0]
    assert {Rule.STREAM_ENDS, Rule.EARLY_STOP} <= set(ends["rules"])
    assert ends["sources"]["head"]["read"] == 1
    assert ends["sources"]["block"]["read"] == 0
    assert ends["rows"]["fetched"] == ends["rows"]["read"] == 5


def test_counts_read_no_rows(engine: Engine) -> None:
    counts, rate = 'count_over_time({app=~"a|b"}[10s])', 'rate({app="c"} | json [5s])'
    text = f"sum by (app) ({counts}) > sum({rate})"
    plan = explained(engine, text)
    assert plan["query"].startswith("(sum by (app)(count_over_time(")
    counted, other = plan["reads"]
    assert counted["stages"] == ["count_over_time[10s] by (app)"]
    assert set(counted["rules"]) == {Rule.STREAM_COUNTS, Rule.UNREAD_LINES, Rule.UNREAD_METADATA}
    assert counted["rowGroups"] == {"pruned": 0, "read": 0}
    assert (counted["rows"]["counted"], counted["rows"]["read"]) == (70, 0)
    assert counted["bytes"]["decoded"] == counted["bytes"]["loaded"] == 0
    assert "count" in counted["phases"]
    assert other["stages"] == ["rate[5s] by ()"]  # nobody sees what json would find
    assert other["rows"]["counted"] == 30
    assert plan["returned"]["series"] == 0  # no labels in common


def test_rules_off_are_told(engine: Engine) -> None:
    plan = explained(engine, 'sum(count_over_time({app="a"}[10s]))', frozenset())
    (read,) = plan["reads"]
    assert plan["rulesOff"] == sorted(Rule)
    assert read["rules"] == []
    assert read["rows"]["read"] == 40
    assert read["rows"]["decoded"] == 30


@settings(max_examples=examples(60), deadline=None)
@given(PARTS, LOG_QUERIES | METRICS, RULES)
def test_answers_are_the_same_and_figures_add_up(
    executor: LocalExecutor, parts: list[list[Entry]], expr: ast.Expr, rules: Rules
) -> None:
    text = format_expr(expr)
    asked: QueryOptions = options(START_NS, START_NS + 20 * NS, rules, limit=3)
    engine = engine_of(parts, executor)
    try:
        plain = engine.run(text, asked)
    except AppError:
        return
    answer = engine.run(text, replace(asked, explain=True))
    assert answer.explanation is not None
    assert result_of(encode_answer(answer)) == result_of(encode_answer(plain))
    for read in explain_object(answer, answer.explanation)["reads"]:  # type: ignore[attr-defined]
        rows = read["rows"]
        assert rows["all"] == rows["pruned"] + rows["counted"] + rows["read"]
        assert min(rows.values()) >= 0
        assert min(read["bytes"].values()) >= 0
        assert rows["passed"] <= rows["counted"] + rows["read"]


def result_of(body: bytes) -> bytes:
    """An answer without its costs."""
    return body.split(b',"stats":')[0]


def test_typed_columns_are_told(tmp_path: Path, executor: LocalExecutor) -> None:
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(1))
    services = StoreServices(catalog, LocalObjects(tmp_path / "objects"), ManualClock(1))
    store = BlockStore(services, 1 << 20, 10)
    entries: list[Entry] = [
        ({"app": "a"}, {}, START_NS + k * NS, b'{"status":%d}' % (200 + k)) for k in range(50)
    ]
    store.publish([store.write(merge_batches([batch_of(entries)]), TENANT, "cut")], [])
    engine = Engine(_Sources([]), store, executor)
    text = 'sum by (status) (count_over_time({app="a"} | json | status > 240 [1m]))'
    (read,) = explained(engine, text)["reads"]
    assert Rule.SHAPE_COLUMNS in read["rules"]
    assert (read["rows"]["read"], read["rows"]["decoded"]) == (50, 0)
    (plain,) = explained(engine, text, ALL_RULES - {Rule.SHAPE_COLUMNS})["reads"]
    assert Rule.SHAPE_COLUMNS not in plain["rules"]
    assert plain["rows"]["decoded"] == 50
    catalog.close()
