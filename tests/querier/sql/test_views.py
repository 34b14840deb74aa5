"""What do the views hold? Labels, fields, metadata, types; shapes of several blocks as one."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from narfi.core.tenant import TenantId
from querier.sql.session import SqlError, SqlSession
from querier.sql.shapes import find_shapes
from querier.sql.views import Period
from storage.block.identity import Layout
from storage.catalog.base import BlockRow
from tests.format_versions.make_block import EXPECTED, START
from tests.querier.sql.stored import EVER, LAYOUTS, asked, store
from tests.storage.batches import Entry

pytest.importorskip("duckdb")


def _api(first: int, rows: int, *, scale: int = 0) -> list[Entry]:
    return [
        (
            "api",
            k,
            b'{"level":"info","status":%d,"took":%s,"user":{"id":"u%d"},"line":"l\\"%d","%s":true}'
            % (200 + k % 3, f"{k}.{k % 10}{'7' * scale}".encode(), k, k, b"tail"),
            {"trace": f"{k:x}"} if k % 2 else {},
        )
        for k in range(first, first + rows)
    ]


def test_one_view_over_blocks_that_store_a_column_differently(tmp_path: Path) -> None:
    stored = store(tmp_path, _api(0, 60), _api(60, 60, scale=2))
    assert [shape.name for shape in stored.shapes] == ["shape_json_1"]
    assert len(stored.shapes[0].parts) == 2
    found = asked(stored, "select status, count(*) as n from shape_json_1 group by 1 order by 1")
    assert found == [{"status": s, "n": 40} for s in (200, 201, 202)]
    assert asked(stored, "select sum(took)::DOUBLE as t from shape_json_1")[0][
        "t"
    ] == pytest.approx(
        sum(k + k % 10 / 10 for k in range(60))
        + sum(float(f"{k}.{k % 10}77") for k in range(60, 120))
    )


@pytest.mark.parametrize("layouts", LAYOUTS)
def test_fields_metadata_and_labels(tmp_path: Path, layouts: Sequence[Layout]) -> None:
    plain: list[Entry] = [
        ("web", 500, b'{"status":"x","user":{"id":1}}', {}),
        ("web", 501, b"free text", {}),
    ]
    stored = store(tmp_path, _api(0, 60) + plain, layouts=layouts)
    rows = asked(stored, "select * from logs order by ts")
    assert len(rows) == 62
    assert rows[3]["fields"] == {
        "level": "info",
        "status": "200",
        "took": "3.3",
        "user.id": "u3",
        "line": 'l"3',
        "tail": "true",
    }
    assert rows[3]["metadata"] == {"trace": "3"}
    assert rows[2]["metadata"] == {}
    assert rows[3]["labels"] == {"app": "api", "job": "test"}
    assert rows[3]["shape"] == "shape_json_1"
    assert rows[60]["fields"] == {"status": "x", "user": '{"id":1}'}
    assert rows[61]["fields"] is None
    assert rows[61]["shape"] is None


@pytest.mark.parametrize("layouts", LAYOUTS)
def test_names_that_views_have_themselves(tmp_path: Path, layouts: Sequence[Layout]) -> None:
    stored = store(tmp_path, _api(0, 60), layouts=layouts)
    row = asked(stored, "select * from shape_json_1 order by ts limit 1")[0]
    assert row["line_extracted"] == 'l\\"0'
    assert str(row["line"]).startswith("{")


def test_a_folder_with_signs_that_globs_and_sql_know(tmp_path: Path) -> None:
    stored = store(tmp_path / "it's [x] app=1 *?", _api(0, 60))
    assert asked(stored, "select count(*) as n from logs") == [{"n": 60}]


@pytest.mark.parametrize("layouts", LAYOUTS)
def test_many_names_of_metadata(tmp_path: Path, layouts: Sequence[Layout]) -> None:
    entries: list[Entry] = [
        ("x", k, b"n=%d" % k, {f"m{n}": f"{k}'" for n in range(70)} if k else {}) for k in range(20)
    ]
    found = asked(
        store(tmp_path, entries, layouts=layouts), "select metadata from logs order by ts"
    )
    assert [row["metadata"] for row in found] == [extra for _, _, _, extra in entries]


def test_a_block_of_the_first_format() -> None:
    folder = next((Path(__file__).parents[2] / "format_versions/block-1").rglob("manifest.json"))
    kept = folder.parents[4]
    row = BlockRow(
        block_id="stored",
        tenant=TenantId("t"),
        cut_id="cut",
        min_ts=START - 100,
        max_ts=START,
        rows=0,
        line_bytes=0,
        stored_bytes=0,
        level=0,
        format_version=1,
        created_ns=0,
    )
    found = asked(find_shapes(kept, [row]), "select line from logs order by labels['app'], ts")
    assert [row["line"] for row in found][:2] == [
        '{"level":"info","n":0}',
        '{"level":"info","n":1}',
    ]
    assert len(found) == len(EXPECTED[1])


@pytest.mark.parametrize("layouts", LAYOUTS)
def test_a_period(tmp_path: Path, layouts: Sequence[Layout]) -> None:
    stored = store(tmp_path, _api(0, 60), layouts=layouts)
    found = asked(stored, "select min(epoch_ns(ts)) a, max(epoch_ns(ts)) b from logs", Period(5, 9))
    assert found == [{"a": 5, "b": 8}]


def test_blocks_of_all_formats_are_one_table(tmp_path: Path) -> None:
    """Times in ms, in ns, and in both; shapes and plain lines; the same rows for every format."""
    ms = [(app, ts * 1_000_000, line, extra) for app, ts, line, extra in _api(0, 60)]
    mixed = [("x", 7 * ts, line, extra) for _, ts, line, extra in _api(0, 70)] + ms
    plain: list[Entry] = [("y", k, b"%d" % k * k, {"n": "1"}) for k in range(9)]
    blocks = (_api(60, 30), ms, mixed, plain)
    columns = "epoch_ns(ts) as ts, labels, line, metadata"
    asking = f"select {columns} from logs order by ts, line, labels['app']"
    found = [
        asked(store(tmp_path / str(k), *blocks, layouts=layouts), asking)
        for k, layouts in enumerate(LAYOUTS)
    ]
    assert len(found[0]) == 30 + 60 + 130 + 9
    assert found[0] == found[1] == found[2]
    stored = store(tmp_path / "shapes", *blocks, layouts=[Layout(2), Layout(3)])
    names = [shape.name for shape in stored.shapes if "status" in shape.column_names()]
    assert names
    counted = [asked(stored, f"select count(status) as n from {name}")[0]["n"] for name in names]
    assert sum(int(str(n)) for n in counted) == 30 + 60 + 130


def test_nothing_is_stored(tmp_path: Path) -> None:
    stored = store(tmp_path)
    assert asked(stored, "select count(*) as n from logs") == [{"n": 0}]


def test_statements_and_errors(tmp_path: Path) -> None:
    session = SqlSession(store(tmp_path, _api(0, 60)), EVER)
    names, rows = session.run("set threads = 1; select 1 as a, 2 as a -- twice", as_json=False)
    assert (names, list(rows)) == (["a", "a_1"], [("1", "2")])
    assert session.run("set threads = 1", as_json=False)[0] == []
    assert next(iter(session.run("show tables", as_json=False)[1])) == ("logs",)
    assert session.run("explain select 1", as_json=True)[0]
    with pytest.raises(SqlError, match="syntax error"):
        session.run("selec", as_json=False)
    with pytest.raises(SqlError, match="nope"):
        session.run("select nope from logs", as_json=False)


def test_each_view_is_described(tmp_path: Path) -> None:
    session = SqlSession(store(tmp_path, _api(0, 60)), EVER)
    logs, shape = session.views
    assert (logs.name, logs.rows) == ("logs", 60)
    assert '"status":<status>' in shape.template
    kinds = {column.name: column.kind for column in session.columns(shape)}
    assert kinds["status"] == "BIGINT"
    assert kinds["took"] == "DECIMAL(18,1)"
    assert kinds["ts"] == "TIMESTAMP_NS"


def test_without_duckdb_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SqlError, match=r"pip install 'narfi\[sql\]'"):
        SqlSession(store(tmp_path), EVER)
