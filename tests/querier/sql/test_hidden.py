"""Does SQL leave out what a pending delete request hides, and nothing else?"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from narfi.core.tenant import TenantId
from querier.reading.deletes import deletion_of
from querier.sql.hidden import hidden_rows
from querier.sql.session import SqlSession
from querier.sql.shapes import find_shapes
from storage.block.identity import BlockIdentity, Layout
from storage.block.writer import write_run
from storage.catalog.base import BlockRow
from storage.catalog.delete_log import DeleteRequest
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from tests.querier.sql.stored import EVER, MIN_LINES
from tests.storage.batches import Entry, batch_of
from tests.storage.block.test_format_versions import STORED, row_of
from tests.storage.stored import TENANT

pytest.importorskip("duckdb")

ENTRIES: list[Entry] = [
    (app, 1000 + k, b"took=%d ms by %s" % (k, b"secret" if k % 3 == 0 else b"good"), {"k": str(k)})
    for app in ("a", "b")
    for k in range(40)
] + [("a", 2000 + k, b"%s odd one" % (b"x" * k), {}) for k in range(3)]


def asked_for(tenant: TenantId, query: str, start_ns: int, end_ns: int) -> DeleteRequest:
    """A request with a name of its own."""
    return DeleteRequest(
        tenant=tenant,
        request_id=query,
        query=query,
        start_ns=start_ns,
        end_ns=end_ns,
        created_ns=0,
    )


def seen(folder: Path, rows: Sequence[BlockRow], *queries: str) -> list[tuple[str, str]]:
    """(app, line) of what `logs` shows while requests for these are pending."""
    asked = [deletion_of(asked_for(TENANT, query, 1005, 2001)) for query in queries]
    found = hidden_rows(LocalObjects(folder), TENANT, rows, asked)
    hidden = {folder / one.prefix: one for one in found}
    session = SqlSession(find_shapes(folder, rows), EVER, hidden)
    _, answer = session.run("select labels['app'], line from logs order by 1, ts", as_json=False)
    return [(row[0] or "", row[1] or "") for row in answer]


@pytest.mark.parametrize(
    ("queries", "hides"),
    [
        (('{app=~".+"} |= "secret"',), lambda app, ts, line: b"secret" in line),
        (('{app="a"} | k=~"1.*"',), lambda app, ts, line: app == "a" and b"took=1" in line),
        (('{app="b"}',), lambda app, ts, line: app == "b"),
        (('{app="b"}', '{app="a"} |= "odd"'), lambda app, ts, line: app == "b" or b"odd" in line),
        (('{app="nobody"}',), lambda app, ts, line: False),
        ((), lambda app, ts, line: False),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_hidden_rows_are_left_out(
    tmp_path: Path, queries: tuple[str, ...], hides: object, version: int
) -> None:
    assert callable(hides)
    objects = LocalObjects(tmp_path)
    runs = [merge_batches([batch_of(part)]) for part in (ENTRIES, ENTRIES[:6])]
    rows = [
        write_run(
            run,
            BlockIdentity(block_id=f"block{k}", tenant=TENANT, cut_id="cut", level=0, created_ns=0),
            objects,
            MIN_LINES,
            layout=Layout(version),
        )
        for k, run in enumerate(runs)
    ]
    wanted = [
        (app, line.decode())
        for app, ts, line, _ in sorted([*ENTRIES, *ENTRIES[:6]], key=lambda e: e[:2])
        if not (1005 <= ts <= 2001 and hides(app, ts, line))
    ]
    assert seen(tmp_path, rows, *queries) == wanted


def test_rows_of_a_block_of_the_first_format() -> None:
    kept = STORED / "block-1"
    row = row_of(kept)
    asked = deletion_of(asked_for(row.tenant, '{app="api"} |= "1"', 0, row.max_ts))
    found = hidden_rows(LocalObjects(kept), row.tenant, [row], [asked])
    session = SqlSession(find_shapes(kept, [row]), EVER, {kept / one.prefix: one for one in found})
    _, rows = session.run("select line from logs where labels['app'] = 'api'", as_json=False)
    lines = [f'{{"level":"info","n":{k}}}' for k in range(50)]
    assert sorted(str(line) for (line,) in rows) == sorted(x for x in lines if "1" not in x)
