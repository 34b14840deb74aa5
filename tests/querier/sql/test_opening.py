"""Does SQL answer without blocks that are damaged, say so, and tell an outage from damage?"""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from narfi.core.limits import Limits
from querier.reading.deletes import DeleteRequests
from querier.sql.opening import Asked, StoredLogs
from querier.sql.session import SqlError
from querier.sql.views import EVER, Period
from storage.block.layout import STREAMS, block_prefix
from storage.catalog.base import BlockRow
from storage.catalog.delete_log import DeleteLog
from storage.objects.base import ObjectError
from tests.storage.batches import Entry
from tests.storage.form import Form
from tests.storage.stored import DAY, NOW, TENANT, Stored

pytest.importorskip("duckdb")

BLOCKS, LINES = 3, 60
COUNT = "select count(*) as n from logs"


def entries(block: int) -> list[Entry]:
    """Lines that are plain in format 2, with a text that makes a page more than its header."""
    first = NOW - block * DAY
    return [
        ("a", first + k, b"%d secret %d " % (block, k * 7919) + b"text%d" % k * 40, {})
        for k in range(LINES)
    ]


@pytest.fixture
def stored(tmp_path: Path, form: Form) -> Stored:
    """Three blocks of a format; the catalog is closed by nobody: a server may be using it."""
    found = Stored(tmp_path)
    for block in range(BLOCKS):
        found.add(entries(block))
    return found


def middle(stored: Stored) -> BlockRow:
    """A block that is neither the oldest nor the newest."""
    return sorted(stored.rows(), key=lambda row: row.min_ts)[1]


def path_of(stored: Stored, row: BlockRow, name: str) -> Path:
    return stored.folder / "objects" / block_prefix(row.tenant, row.min_ts, row.block_id) / name


def logs(stored: Stored, period: Period = EVER, *, deep: bool = False) -> StoredLogs:
    return StoredLogs(stored.folder, Asked(tenant=TENANT, period=period, deep=deep))


def counted(found: StoredLogs, query: str = COUNT) -> int:
    _, rows = found.run(query, as_json=False)
    return int(next(rows)[0] or "")


def flip_page(path: Path) -> None:
    """Change bytes of columns of texts only: what is read of a block that is opened stays right."""
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    texts = [column for column in columns if column.physical_type == "BYTE_ARRAY"]
    assert texts
    content = bytearray(path.read_bytes())
    for column in texts:
        first = column.dictionary_page_offset or column.data_page_offset
        for at in range(first + 30, first + column.total_compressed_size, 7):
            content[at] ^= 0x5A
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("commit", change),
        ("commit", Path.unlink),
        ("streams", change),
        ("entries", cut),
        ("entries", Path.unlink),
    ],
)
def test_what_cannot_be_opened_is_left_out(
    form: Form, stored: Stored, part: str, damage: object, deep: bool
) -> None:
    assert callable(damage)
    bad = middle(stored)
    name = {"commit": form.commit, "streams": STREAMS, "entries": form.entries}[part]
    damage(path_of(stored, bad, name))
    found = logs(stored, deep=deep)
    assert counted(found) == (BLOCKS - 1) * LINES
    (warning,) = found.warnings()
    assert warning.startswith(f"block {bad.block_id} is damaged and was left out: of its 60 ent")
    assert next(view.rows for view in found.session().views) == (BLOCKS - 1) * LINES


def test_a_damaged_page_is_met_by_who_reads_it(form: Form, stored: Stored) -> None:
    bad = middle(stored)
    flip_page(path_of(stored, bad, form.entries))
    found = logs(stored)
    assert counted(found) == BLOCKS * LINES, "times are read alone"
    assert found.warnings() == []
    total = "select count(*) from logs where length(line) > 5"
    assert counted(found, total) == (BLOCKS - 1) * LINES
    assert bad.block_id in found.warnings()[0]
    deep = logs(stored, deep=True)
    assert counted(deep) == (BLOCKS - 1) * LINES
    assert len(deep.warnings()) == 1


def test_a_damaged_page_that_hiding_meets(form: Form, stored: Stored) -> None:
    requests = DeleteRequests(DeleteLog(stored.catalog), stored.clock, lambda _: Limits())
    requests.create(TENANT, '{app="a"} |= "secret 237570 "', 0, NOW + DAY)
    assert counted(logs(stored)) == BLOCKS * (LINES - 1)
    bad = middle(stored)
    flip_page(path_of(stored, bad, form.entries))
    found = logs(stored)
    assert counted(found) == (BLOCKS - 1) * (LINES - 1)
    assert bad.block_id in found.warnings()[0]


def test_counts_of_views_are_what_a_query_sees(stored: Stored) -> None:
    requests = DeleteRequests(DeleteLog(stored.catalog), stored.clock, lambda _: Limits())
    session = logs(stored, Period(NOW, NOW + 10)).session()
    assert session.count(session.views[0]) == 10
    session = logs(stored).session()
    assert session.count(session.views[0]) == BLOCKS * LINES
    requests.create(TENANT, '{app="a"} |= "secret 237570 "', 0, NOW + DAY)
    session = logs(stored).session()
    assert session.count(session.views[0]) == BLOCKS * (LINES - 1)


def test_only_what_the_period_touches_is_told(form: Form, stored: Stored) -> None:
    cut(path_of(stored, middle(stored), form.entries))
    found = logs(stored, Period(NOW, NOW + DAY))
    assert counted(found) == LINES
    assert found.warnings() == []


def test_an_outage_is_an_error(stored: Stored) -> None:
    (stored.folder / "objects").rename(stored.folder / "away")
    with pytest.raises(ObjectError, match="is empty, or not where it was"):
        counted(logs(stored))


def test_an_error_of_the_query_is_none_of_the_data(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = logs(stored)
    monkeypatch.setattr(found, "_leave_out_damaged", lambda _: pytest.fail("reads every byte"))
    for query in ("select nothing from logs", "selec", "select cast('x' as integer)"):
        with pytest.raises(SqlError):
            found.run(query, as_json=False)
    assert found.warnings() == []


def test_a_block_that_was_replaced_meanwhile_is_no_damage(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its objects are away since it is not visible any more: the blocks are listed again."""
    found, listed = logs(stored), [stored.rows()]
    gone = middle(stored)
    now = found._listed

    def late() -> object:
        return listed.pop() if listed else now()

    monkeypatch.setattr(found, "_listed", late)
    stored.catalog.replace([gone.block_id], [])
    for path in path_of(stored, gone, "x").parent.iterdir():
        path.unlink()
    assert counted(found) == (BLOCKS - 1) * LINES
    assert found.warnings() == []
