"""Blocks in a folder for tests of SQL, and what they hold as SQL sees it."""

import json
from collections.abc import Sequence
from pathlib import Path

from narfi.core.tenant import TenantId
from querier.sql.session import SqlSession
from querier.sql.shapes import Stored, find_shapes
from querier.sql.views import Period
from storage.block.identity import BlockIdentity, Layout
from storage.block.writer import write_run
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of

EVER = Period(-(2**63), 2**63 - 1)
MIN_LINES = 8
LAYOUTS = ((Layout(2),), (Layout(3),), (Layout(2), Layout(3)))
"""Of blocks in turn."""


def store(
    folder: Path, *blocks: Sequence[Entry], layouts: Sequence[Layout] = (Layout(2),)
) -> Stored:
    """Each list of entries as a block, of the layouts in turn."""
    rows = []
    for number, entries in enumerate(blocks):
        identity = BlockIdentity(
            block_id=f"block{number}", tenant=TenantId("a*b"), cut_id="cut", level=0, created_ns=0
        )
        run = merge_batches([batch_of(entries)])
        layout = layouts[number % len(layouts)]
        rows.append(write_run(run, identity, LocalObjects(folder), MIN_LINES, layout=layout))
    return find_shapes(folder, rows)


def asked(stored: Stored, query: str, period: Period = EVER) -> list[dict[str, object]]:
    """The rows of an answer."""
    _, rows = SqlSession(stored, period).run(query, as_json=True)
    return [json.loads(row[0] or "") for row in rows]
