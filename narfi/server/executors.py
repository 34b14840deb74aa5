"""Where do leaf tasks and merges of a server run? On threads, heavy ones in processes or on Ray."""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import replace

from narfi.core.errors import AppError, ErrorKind
from narfi.core.settings import Settings
from querier.budget import Total
from querier.executors.asked_lately import AskedLately
from querier.executors.local import LocalExecutor
from querier.executors.messages import Setup
from querier.executors.processes import ProcessExecutor
from querier.executors.ray import RayExecutor, call_pool, ray_pool
from querier.executors.scan_pool import ScanPool
from storage.vault.data_dir import CACHE, OBJECTS, DataDir
from upkeep.far_merges import FarMerges
from upkeep.schedule import Task

IDLE_S = 300.0
"""Without a heavy query for so long, scan processes end."""
AUTO_PROCESSES = 2
"""Where there is more than one core: with one, a process could only take it from the server."""
CACHE_SHARE = 8
"""Part of `querier.cache_bytes` that a process may remember; `querier.max_memory` pays for it."""

TOKEN_MODE = ("RAY_AUTH_MODE", "token")
"""Whoever reaches Ray's ports may run anything there: a cluster without a token is not used."""

ServerExecutor = LocalExecutor | ProcessExecutor | RayExecutor


class RayError(AppError):
    """`querier.ray` cannot be used."""

    kind = ErrorKind.INVALID


def executor_of(
    settings: Settings, data: DataDir, memory: Total, lately: AskedLately
) -> ServerExecutor:
    """The executor that the settings mean; processes are started when they are first wanted.

    `lately`: who asked, for processes that are used while several tenants ask.
    """
    querier = settings.querier
    if querier.ray.address:
        check_ray("querier.ray", data)
    setup = Setup(
        objects=data.storage_url or str((data.root / OBJECTS).absolute()),
        cache_bytes=querier.cache_bytes // CACHE_SHARE,
    )
    near_setup = setup
    if querier.disk_cache_bytes and data.is_far:
        near_setup = replace(
            setup,
            disk_cache=str((data.root / CACHE).absolute()),
            most_given=querier.disk_cache_bytes // CACHE_SHARE,
        )
    local = LocalExecutor(querier.scan_threads)
    near: LocalExecutor | ProcessExecutor = local
    if querier.scan_processes == "auto":
        if cores() > 1:
            pool = ScanPool(AUTO_PROCESSES, near_setup, memory)
            near = ProcessExecutor(local, pool, are_wanted=lately.are_several)
    elif querier.scan_processes:
        near = ProcessExecutor(local, ScanPool(querier.scan_processes, near_setup, memory))
    if not querier.ray.address:
        return near
    if querier.ray.disk_cache_folder and data.is_far:
        setup = replace(
            setup,
            disk_cache=querier.ray.disk_cache_folder,
            shared_bytes=querier.ray.disk_cache_bytes,
        )
    pool = ray_pool(querier.ray.address, querier.ray.workers, setup)
    return RayExecutor(near, local, pool, querier.ray.min_bytes)


def cores() -> int:
    """Of the machine, that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def far_merges(settings: Settings, data: DataDir, stopping: Callable[[], bool]) -> FarMerges | None:
    """Who merges blocks elsewhere, by the settings; nothing is started before it is wanted."""
    ray = settings.compactor.ray
    if not ray.address:
        return None
    check_ray("compactor.ray", data)
    pool = call_pool(ray.address, Setup(objects=data.storage_url, cache_bytes=0))
    return FarMerges(pool, data.storage_url, ray.min_bytes, stopping)


def check_ray(setting: str, data: DataDir) -> None:
    """Raise `RayError` for a cluster that cannot be used, before it is looked for."""
    if importlib.util.find_spec("ray") is None:
        raise RayError(f"{setting} needs ray: pip install 'narfi[ray]'")
    name, mode = TOKEN_MODE
    if os.environ.get(name) != mode:
        raise RayError(f"{setting} needs {name}={mode} and a token, here and in the cluster")
    if not data.storage_url:
        raise RayError(f"{setting} needs storage.url: other machines read the blocks")


def idle_tasks(executor: ServerExecutor) -> tuple[Task, ...]:
    """What is to be done from time to time."""
    if isinstance(executor, LocalExecutor):
        return ()
    return (Task("idle processes", lambda: executor.end_idle(IDLE_S)),)
