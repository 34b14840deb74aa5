"""Do heavy queries get the same answers from scan processes, whatever becomes of these?"""

import fcntl
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from logql.parser import parse
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.limits import Limits
from querier.budget import (
    Allowance,
    Budget,
    MemoryBusyError,
    QueryCancelledError,
    QueryMemoryError,
    QueryTimeoutError,
    Total,
)
from querier.engine import Engine
from querier.executors.leaf import Compute, LeafContext, planned_context
from querier.executors.local import LocalExecutor
from querier.executors.messages import Setup
from querier.executors.metrics import LOST_PROCESSES
from querier.executors.processes import ProcessExecutor, ScanProcessesLostError
from querier.executors.scan_pool import ScanPool
from querier.executors.scan_worker import NICENESS
from querier.http_api.encode import encode_answer
from querier.metrics import range_aggregation
from querier.metrics.partials import LABELS_AT_ONCE, NO_ARRIVAL, Samples, SeriesPartial
from querier.plan.build import log_plan
from querier.plan.spec import LeafSpec
from querier.plan.tasks import source_tasks
from querier.query import Direction
from querier.reading.tenants import TenantSource
from querier.reading.view import SourceView
from querier.result import Answer, QueryStats
from querier.rules import ALL_RULES, Rules
from storage.block.footer import DamagedBlockError
from storage.block.identity import BlockIdentity, Layout
from storage.block.reader import BlockSource, open_block
from storage.block.writer import write_run
from storage.cache import ByteCache
from storage.memory_source import MemorySource
from storage.objects.disk_cache import DiskCache
from storage.objects.filesystem import LocalObjects
from storage.objects.piece_file import file_of
from storage.scan import Columns, LogSource
from storage.sorting import merge_batches
from tests.querier.executors.tasks import Content, Die, Fail, Hold, Pid, Spin
from tests.querier.test_engine import METRICS, PARTS, RULES, TENANT, _Sources, options
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.storage.batches import entries_of
from tests.storage.blocks import LAYOUTS, small_groups

ROOT = Path(__file__).parents[3]
SECONDS = 300
"""For a hang: scan processes have a low priority, to which a busy machine leaves little."""
CACHE_BYTES = 1 << 20


def blocks_in(
    folder: Path,
    parts: Sequence[list[Entry]],
    layout: Layout = Layout(),  # noqa: B008
) -> list[LogSource]:
    """Stored blocks with small row groups, in which two lines make a shape."""
    objects, found = LocalObjects(folder), list[LogSource]()
    with small_groups(2):
        for part in parts:
            name = uuid.uuid4().hex
            identity = BlockIdentity(
                block_id=name, tenant=TENANT, cut_id=name, level=0, created_ns=1
            )
            run = merge_batches([batch_of(part)])
            row = write_run(run, identity, objects, 2, layout=layout)
            found.append(open_block(row, objects, ByteCache(1 << 24), ByteCache(1 << 24)))
    return found


def waits_for(condition: Callable[[], object]) -> None:
    """Until it holds."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the blocks."""
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalExecutor]:
    """Two threads."""
    found = LocalExecutor(2)
    yield found
    found.close()


@pytest.fixture(scope="module")
def executor(folder: Path) -> Iterator[ProcessExecutor]:
    """Two processes, for which every query is heavy."""
    pool = ScanPool(2, Setup(objects=str(folder), cache_bytes=CACHE_BYTES))
    found = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0)
    all_are_ready(found)
    yield found
    found.close()


def all_are_ready(executor: ProcessExecutor) -> None:
    """Processes that are missing are started again."""
    executor.pool._next_start_s = 0.0
    waits_for(lambda: executor.pool.is_ready() and len(executor.pool.pids()) == executor.pool.count)


def told(answer: Answer) -> tuple[object, ...]:
    """Of the costs, what does not depend on what was remembered."""
    stats = answer.stats
    return (
        stats.lines_scanned,
        stats.lines_counted,
        stats.bytes_scanned,
        stats.lines_after_filter,
        stats.lines_fetched,
        stats.row_groups,
        stats.row_groups_planned,
        stats.reading.row_groups_pruned,
        stats.sources_read,
        stats.rules,
    )


@settings(max_examples=examples(100), deadline=None)
@given(
    PARTS.map(lambda parts: [part for part in parts if part]).filter(bool),
    LOG_QUERIES | METRICS,
    st.sampled_from(Direction),
    st.sampled_from([1, 3, 1000]),
    RULES,
    st.booleans(),
    st.sampled_from(LAYOUTS),
)
def test_answers_are_those_of_threads(
    local: LocalExecutor,
    executor: ProcessExecutor,
    folder: Path,
    parts: list[list[Entry]],
    expr: ast.Expr,
    direction: Direction,
    limit: int,
    rules: Rules,
    has_head: bool,
    layout: Layout,
) -> None:
    """And costs; with a head beside the blocks, too."""
    heads: list[LogSource] = []
    if has_head:
        heads = [MemorySource(merge_batches([batch_of(parts[-1])]), "head", "head")]
        parts = parts[:-1]
    blocks, text = blocks_in(folder, parts, layout), format_expr(expr)
    asked = options(START_NS, START_NS + 20 * NS, rules, direction=direction, limit=limit)
    found: list[object] = []
    for where in (local, executor):
        engine = Engine(_Sources(heads), _Sources(blocks), where)
        try:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(range_aggregation, "FEW_ROWS", 0)  # counts go there, too
                answer = engine.run(text, replace(asked, budget=Budget()))
            body = encode_answer(answer).split(b',"stats":')[0]
            found.append((body, None if limit < 1000 else told(answer)))
        except AppError as error:
            found.append((type(error), error.kind, str(error)))
    assert found[0] == found[1], text


def test_needles_prune_within_row_groups_there_too(
    local: LocalExecutor, executor: ProcessExecutor, folder: Path
) -> None:
    """A line of a shape that cannot hold the needle is not read, though another of its group is."""
    lines = [b"", b"", b'{"level": "error"}', b"{}"]
    entries: list[Entry] = [({"app": "api"}, {}, START_NS, line) for line in lines]
    blocks = blocks_in(folder, [[({"app": "api", "env": "dev"}, {}, START_NS, b""), *entries]])
    asked = options(START_NS, START_NS + 20 * NS, ALL_RULES, limit=1000)
    found = [
        told(Engine(_Sources([]), _Sources(blocks), where).run('{app="api"} |= "error"', asked))
        for where in (local, executor)
    ]
    assert found[0] == found[1]
    assert found[0][0] == 1


Specs = list[LeafSpec[Compute[Any]]]


@pytest.fixture(scope="module")
def block(folder: Path) -> BlockSource:
    """A block of a few lines."""
    entries: list[Entry] = [({"app": "a"}, {}, START_NS + n, b"line %d" % n) for n in range(9)]
    (found,) = blocks_in(folder, [entries])
    assert isinstance(found, BlockSource)
    return found


def asked(
    source: LogSource, computes: Sequence[Compute[Any]], budget: Budget | None = None
) -> tuple[Specs, LeafContext]:
    """A task for each question, over all of the source."""
    query = parse('{app="a"}')
    assert isinstance(query, ast.LogQuery)
    scan = log_plan(query, options(START_NS, START_NS + NS, ALL_RULES)).scan
    view = SourceView(
        source=source,
        order=0,
        streams=source.table.select(query.selector.matchers),
        excluded=source.times()[:0],
    )
    tasks = source_tasks([view], scan, None, Allowance())
    specs = [tasks.specs[0].computing(compute) for compute in computes]
    return specs, planned_context(budget or Budget(), scan, tasks)


def test_blocks_are_read_there_and_heads_here(
    executor: ProcessExecutor, block: BlockSource
) -> None:
    there = set(executor.leaves(*asked(block, [Pid()] * 20)))
    assert there <= set(executor.pool.pids())
    assert os.getpid() not in there
    of_a_tenant = TenantSource(block, TENANT)
    assert os.getpid() not in set(executor.leaves(*asked(of_a_tenant, [Pid()])))
    entries: list[Entry] = [({"app": "a"}, {}, START_NS, b"line")]
    head = MemorySource(merge_batches([batch_of(entries)]), "head", "head")
    assert set(executor.leaves(*asked(head, [Pid()] * 3))) == {os.getpid()}


def test_a_small_query_stays_here(executor: ProcessExecutor, block: BlockSource) -> None:
    small = ProcessExecutor(LocalExecutor(1), executor.pool, heavy_s=SECONDS)
    assert set(small.leaves(*asked(block, [Pid()] * 20))) == {os.getpid()}
    small._local.close()
    small._leading.close()


def test_while_they_are_not_wanted_threads_do_everything(folder: Path, block: BlockSource) -> None:
    """And no process is started; a query goes there from the task on that finds them wanted."""
    wanted = False
    pool = ScanPool(1, Setup(objects=str(folder), cache_bytes=CACHE_BYTES))
    found = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0, are_wanted=lambda: wanted)
    here = os.getpid()
    assert set(found.leaves(*asked(block, [Pid()] * 20))) == {here}
    assert list(found.apply(_pid_of, range(5))) == [here] * 5
    assert [*pool._starting, *pool._idle, *pool._first] == []
    wanted = True
    all_are_ready(found)
    wanted = False
    pids = found.leaves(*asked(block, [Pid()] * 50))
    assert next(pids) == here
    wanted = True
    later = list(pids)
    assert later[-1] == pool.pids()[0]
    assert set(found.apply(_pid_of, range(5))) == set(pool.pids())
    found.close()


def _pid_of(_: int) -> int:
    return os.getpid()


def test_both_processes_work_for_one_query(
    executor: ProcessExecutor, block: BlockSource, tmp_path: Path
) -> None:
    budget = Budget()
    specs, context = asked(block, [Spin(str(tmp_path))] * 2, budget)

    def ask() -> None:
        with pytest.raises(QueryCancelledError):
            list(executor.leaves(specs, context))

    thread = threading.Thread(target=ask)
    thread.start()
    waits_for(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    budget.cancel()
    thread.join(SECONDS)
    waits_for(lambda: (tmp_path / "ended").exists())
    assert set(executor.leaves(*asked(block, [Pid()]))) <= set(executor.pool.pids())


def test_a_deadline_ends_work_there(
    executor: ProcessExecutor, block: BlockSource, tmp_path: Path
) -> None:
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=NS // 2))
    with pytest.raises(QueryTimeoutError, match=r"query_timeout is 0\.5s"):
        list(executor.leaves(*asked(block, [Spin(str(tmp_path))], budget)))
    waits_for(lambda: (tmp_path / "ended").exists())


def test_who_stops_to_listen_stops_the_work(
    executor: ProcessExecutor, block: BlockSource, tmp_path: Path
) -> None:
    found = executor.leaves(*asked(block, [Pid(), *[Spin(str(tmp_path))] * 9]))
    next(found)
    found.close()  # type: ignore[attr-defined]
    waits_for(lambda: not executor.pool._busy)
    assert not list(tmp_path.glob("begun-*")) or (tmp_path / "ended").exists()


def test_one_that_does_not_look_at_its_time_is_killed(
    executor: ProcessExecutor,
    block: BlockSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("querier.executors.scan_worker.STUCK_S", 0.1)
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=NS // 2))
    with pytest.raises(QueryTimeoutError):
        list(executor.leaves(*asked(block, [Spin(str(tmp_path), checks=False)], budget)))
    waits_for(lambda: not executor.pool._busy)
    assert not (tmp_path / "ended").exists()
    all_are_ready(executor)


def test_a_killed_process_is_not_noticed(
    executor: ProcessExecutor, block: BlockSource, tmp_path: Path
) -> None:
    before = LOST_PROCESSES._value.get()
    assert list(executor.leaves(*asked(block, [Die(str(tmp_path), 1)]))) == [1]
    assert LOST_PROCESSES._value.get() == before + 1
    all_are_ready(executor)
    assert set(executor.leaves(*asked(block, [Pid()] * 9))) <= set(executor.pool.pids())


def test_an_idle_process_that_was_killed_is_not_noticed(
    executor: ProcessExecutor, block: BlockSource
) -> None:
    for pid in executor.pool.pids()[:1]:
        os.kill(pid, signal.SIGKILL)
    assert len(list(executor.leaves(*asked(block, [Pid()] * 5)))) == 5
    all_are_ready(executor)


def test_a_task_that_kills_every_process_is_refused(
    executor: ProcessExecutor, block: BlockSource, tmp_path: Path
) -> None:
    budget = Budget()
    with pytest.raises(ScanProcessesLostError, match="ended 2 scan processes") as told:
        list(executor.leaves(*asked(block, [Die(str(tmp_path), 9)], budget)))
    assert told.value.kind is ErrorKind.INTERNAL
    assert len(list(tmp_path.iterdir())) == 2
    assert budget.used == 0
    all_are_ready(executor)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("of the task"),
        DamagedBlockError("some/key", "its bytes"),
        ValueError("of the task"),
        MemoryError(),
    ],
)
def test_errors_of_a_task_are_raised(
    executor: ProcessExecutor, block: BlockSource, error: Exception
) -> None:
    with pytest.raises(type(error)) as told:
        list(executor.leaves(*asked(block, [Fail(error)])))
    assert str(told.value) == str(error)
    assert vars(told.value).keys() >= vars(error).keys()


def test_an_error_that_cannot_be_sent_is_told(
    executor: ProcessExecutor, block: BlockSource
) -> None:
    """One that is there once more in the other process, with something that is only there."""
    with pytest.raises(RuntimeError, match="Unsendable"):
        list(executor.leaves(*asked(block, [Unsendable()])))


class Unsendable:
    """A question that raises what no pickle takes."""

    def run(self, leaf: object) -> int:
        """Raises."""

        class UnsendableError(Exception):
            pass

        raise UnsendableError


def test_what_a_task_keeps_stays_charged(executor: ProcessExecutor, block: BlockSource) -> None:
    total, sizes = Total(1 << 30), (5, 3 << 20, 100 << 20, 7)
    budget = Budget(total)
    (kept,) = executor.leaves(*asked(block, [Hold(sizes, 60 << 20)], budget))
    assert kept == sum(sizes) - (60 << 20)
    assert budget.used == kept
    assert total.used == kept
    assert sum(sizes) <= budget.peak <= sum(sizes) + (8 << 20)
    budget.release(kept)
    assert budget.used == 0


def test_memory_is_refused_as_on_threads(executor: ProcessExecutor, block: BlockSource) -> None:
    for total, most, error in (
        (Total(), 10 << 20, QueryMemoryError),
        (Total(10 << 20), 0, MemoryBusyError),
    ):
        budget = Budget(total)
        budget.begin(Limits(max_query_memory=most))
        other = Budget(total)
        other.charge(1)
        with pytest.raises(error):
            list(executor.leaves(*asked(block, [Hold((9 << 20, 2 << 20), 0)], budget)))
        assert budget.used == 0
        kept = list(executor.leaves(*asked(block, [Hold((8 << 20,), 0)], budget)))
        assert kept == [8 << 20]


def test_a_query_that_has_ended_gets_no_memory(
    executor: ProcessExecutor, block: BlockSource
) -> None:
    budget = Budget()
    budget.close()
    with pytest.raises(QueryCancelledError):
        list(executor.leaves(*asked(block, [Hold((1,), 0)], budget)))


def test_a_process_has_nothing_of_the_server(folder: Path, tmp_path: Path) -> None:
    """No listening socket, no lock of the data folder; and it lets others go first."""
    total = Total(1 << 30)
    with socket.socket() as listener, (tmp_path / "lock").open("w") as lock:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        fcntl.flock(lock, fcntl.LOCK_EX)
        pool = ScanPool(2, Setup(objects=str(folder), cache_bytes=CACHE_BYTES), total)
        waits_for(lambda: pool.is_ready() and len(pool.pids()) == 2)
        assert total.used == 2 * CACHE_BYTES
        pids = pool.pids()
        for pid in pids:
            files = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
            assert sum(name.startswith("socket:") for name in files) == 1
            assert str(tmp_path / "lock") not in files
            nice = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)
            waits_for(partial(_is_nice, pid, nice))  # once it has been told what to serve
        assert pool.end_idle(SECONDS) == 0
        assert pool.end_idle(0) == 2
        waits_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        assert total.used == 0
        waits_for(pool.is_ready)  # when they are wanted again
        pool.close()
        assert total.used == 0
        assert not pool.is_ready()


def _is_nice(pid: int, niceness: int) -> bool:
    return os.getpriority(os.PRIO_PROCESS, pid) == niceness


def test_a_killed_server_leaves_no_process(
    folder: Path, block: BlockSource, tmp_path: Path
) -> None:
    """In the middle of a task."""
    code = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from tests.querier.executors.test_processes import *\n"
        f"folder, where = Path({str(folder)!r}), {str(tmp_path)!r}\n"
        "entries = [({'app': 'a'}, {}, START_NS, b'line')]\n"
        "(source,) = blocks_in(folder, [entries])\n"
        "pool = ScanPool(2, Setup(objects=str(folder), cache_bytes=CACHE_BYTES))\n"
        "executor = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0)\n"
        "all_are_ready(executor)\n"
        "Path(where, 'pids').write_text(' '.join(map(str, pool.pids())))\n"
        "list(executor.leaves(*asked(source, [Spin(where)])))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as server:
        waits_for(lambda: list(tmp_path.glob("begun-*")) or server.poll() is not None)
        server.kill()
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    waits_for(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_was_heavy_before_goes_there_at_once(
    executor: ProcessExecutor, block: BlockSource, tmp_path: Path
) -> None:
    """A question that has spent much; a small one goes back to the threads."""
    known = ProcessExecutor(LocalExecutor(1), executor.pool, heavy_s=SECONDS)
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=NS // 2))
    with pytest.raises(QueryTimeoutError):
        list(known.leaves(*asked(block, [Spin(str(tmp_path))], budget)))
    assert (tmp_path / f"begun-{os.getpid()}").exists()
    again = Budget()
    again.begin(Limits(query_timeout_ns=NS // 2))
    with pytest.raises(QueryTimeoutError):
        list(known.leaves(*asked(block, [Spin(str(tmp_path))], again)))
    assert {f"begun-{pid}" for pid in executor.pool.pids()} & {p.name for p in tmp_path.iterdir()}
    known._local.close()
    known._leading.close()


def test_many_series_come_in_parts() -> None:
    """So that nothing else waits for all of them."""
    labels = tuple((("n", str(n)),) for n in range(3 * LABELS_AT_ONCE + 1))
    held = Samples(
        series=np.arange(len(labels), dtype=np.int32),
        ts=np.zeros(len(labels), np.int64),
        values=None,
        arrival=NO_ARRIVAL,
    )
    part = SeriesPartial(labels=labels, held=held, stats=QueryStats(), charged=7)
    data = pickle.dumps(part, protocol=5)
    back = pickle.loads(data)
    assert (back.labels, back.charged, back.stats) == (labels, 7, QueryStats())
    assert (back.held.series == held.series).all()
    assert max(len(found) for found in part.__reduce__()[1][0]) < len(data) / 3  # type: ignore[index]


def test_processes_use_the_disk_cache_of_the_server(tmp_path: Path) -> None:
    """What one read, another finds, and wrong bytes in it are read past."""
    objects, cache = tmp_path / "objects", tmp_path / "cache"
    part: list[Entry] = [({"app": "a"}, {}, START_NS + k, b"line %d" % k) for k in range(200)]
    (source,) = blocks_in(objects, [part])
    assert isinstance(source, BlockSource)
    setup = Setup(
        objects=str(objects),
        cache_bytes=CACHE_BYTES,
        disk_cache=str(cache),
        most_given=1 << 30,
    )

    def contents() -> list[int]:
        found = ProcessExecutor(LocalExecutor(1), ScanPool(1, setup), heavy_s=0)
        all_are_ready(found)
        try:
            return list(found.leaves(*asked(source, [Content()] * 3)))
        finally:
            found.close()

    whole = contents()
    entries = entries_of(source.fetch(np.arange(int(source.table.rows.sum())), Columns()))
    assert whole == [zlib.crc32(repr(entries).encode())] * 3
    owner = DiskCache(cache, 1 << 30)
    keys = [key for key in LocalObjects(objects).list("") if owner.get(key) is not None]
    assert keys, "the index of the block at least"
    for key in LocalObjects(objects).list(""):
        right = LocalObjects(objects).get(key)
        owner._drop(file_of(key))
        owner.put(key, right[:-1] + bytes([right[-1] ^ 1]))
    assert contents() == whole
