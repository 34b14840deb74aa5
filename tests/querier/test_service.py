"""Is a query answered whose block is dropped under it?"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import QueryOptions
from querier.result import StreamsResult
from querier.service import VIEWS, BlockGoneError, QueryService
from storage.scan import LogSource
from storage.store import BlockStore, StoreParts
from tests.storage.stored import DAY, NOW, TENANT, Stored
from upkeep.garbage import erase


class Nothing:
    """No heads."""

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """None."""
        return []


class Dropping:
    """Blocks of which one is dropped, objects and all, behind each of the first views."""

    def __init__(self, stored: Stored, times: int) -> None:
        self._stored, self._times = stored, times

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """The blocks that were visible a moment ago."""
        stored = self._stored
        # a store of its own: what another view has read is remembered and needs no object
        parts = StoreParts(stored.catalog, stored.objects, stored.clock)
        found = BlockStore(parts, 0).sources(tenant, start_ns, end_ns)
        if self._times:
            self._times -= 1
            (oldest,) = self._stored.catalog.oldest(1)
            self._stored.catalog.replace([oldest.block_id], [])
            erase(self._stored.catalog, self._stored.objects, self._stored.catalog.removed(1))
        return found


@pytest.mark.parametrize("times", [0, 1, VIEWS - 1, VIEWS])
def test_the_query_is_asked_again_with_a_new_view(tmp_path: Path, times: int) -> None:
    stored = Stored(tmp_path)
    for days_ago in range(VIEWS + 1, 0, -1):
        stored.add([("a", NOW - days_ago * DAY, b"%d" % days_ago, {})])
    executor = LocalExecutor(1)
    blocks = Dropping(stored, times)
    limits = Limits()
    service = QueryService(Engine(Nothing(), blocks, executor), lambda tenant: limits)
    options = QueryOptions((TENANT,), NOW - 9 * DAY, NOW, DAY, limits)
    if times == VIEWS:
        with pytest.raises(BlockGoneError, match="a stored block cannot be read"):
            service.query('{app="a"}', options)
    else:
        result = service.query('{app="a"}', options).result
        assert isinstance(result, StreamsResult)
        lines = [entry.line for stream in result.streams for entry in stream.entries]
        assert lines == [b"%d" % days_ago for days_ago in range(1, VIEWS + 2 - times)]
    executor.close()
    stored.close()
