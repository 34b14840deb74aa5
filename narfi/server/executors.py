"""Where do the leaf tasks of a server run? On threads, and those of heavy queries in processes."""

from narfi.core.settings import Settings
from querier.budget import Total
from querier.executors.local import LocalExecutor
from querier.executors.messages import Setup
from querier.executors.processes import ProcessExecutor
from querier.executors.scan_pool import ScanPool
from storage.vault.data_dir import OBJECTS, DataDir
from upkeep.schedule import Task

IDLE_S = 300.0
"""Without a heavy query for so long, scan processes end."""
CACHE_SHARE = 8
"""Part of `querier.cache_bytes` that a process may remember; `querier.max_memory` pays for it."""

ServerExecutor = LocalExecutor | ProcessExecutor


def executor_of(settings: Settings, data: DataDir, memory: Total) -> ServerExecutor:
    """The executor that the settings mean; processes are started when they are first wanted."""
    querier = settings.querier
    local = LocalExecutor(querier.scan_threads)
    if not querier.scan_processes:
        return local
    setup = Setup(
        objects=data.storage_url or str((data.root / OBJECTS).absolute()),
        cache_bytes=querier.cache_bytes // CACHE_SHARE,
    )
    return ProcessExecutor(local, ScanPool(querier.scan_processes, setup, memory))


def idle_tasks(executor: ServerExecutor) -> tuple[Task, ...]:
    """What is to be done from time to time."""
    if isinstance(executor, LocalExecutor):
        return ()
    return (Task("idle processes", lambda: executor.end_idle(IDLE_S)),)
