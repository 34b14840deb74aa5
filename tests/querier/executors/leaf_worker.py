"""A process that runs leaf tasks over stored blocks: pickled specs in, pickled partials out.

`python -m tests.querier.executors.leaf_worker <folder>`; reads a list of specs from stdin.
"""

import pickle
import sys
import time
from pathlib import Path

from narfi.core.clock import ManualClock
from querier.executors.leaf import LeafContext, SourceOpener, run_leaf
from storage.catalog.sql import SqlCatalog
from storage.objects.filesystem import LocalObjects
from storage.scan import LogSource
from storage.store import BlockStore, StoreServices


def store_in(folder: Path) -> tuple[SqlCatalog, BlockStore]:
    """The blocks of a folder, in shapes of three lines."""
    catalog = SqlCatalog(f"sqlite:///{folder}/catalog.db", ManualClock(1))
    services = StoreServices(catalog, LocalObjects(folder / "objects"), ManualClock(1))
    return catalog, BlockStore(services, 1 << 24, 3)


def main() -> None:
    """Run what is asked for."""
    catalog, store = store_in(Path(sys.argv[1]))
    specs = pickle.loads(sys.stdin.buffer.read())

    def source_of(block_id: str) -> LogSource:
        with store.opened(catalog.visible([block_id])) as (source,):
            return source

    open_source = SourceOpener(source_of)
    found = []
    for spec in specs:
        budget = spec.allowance.budget(time.time_ns())
        found.append(run_leaf(spec, LeafContext(budget, open_source)))
    sys.stdout.buffer.write(pickle.dumps(found))
    catalog.close()


if __name__ == "__main__":
    main()
