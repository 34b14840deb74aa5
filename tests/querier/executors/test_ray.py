"""Do large queries get the same answers from a Ray cluster, whatever becomes of it? A real one."""

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.limits import Limits
from querier.budget import Budget, QueryCancelledError, QueryMemoryError, QueryTimeoutError
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.executors.messages import Setup
from querier.executors.processes import ScanProcessesLostError
from querier.executors.ray import TASKS_AT_ONCE, RayExecutor, ray_pool
from querier.http_api.encode import encode_answer
from querier.metrics import range_aggregation
from querier.query import Direction
from querier.rules import ALL_RULES
from storage.block.reader import BlockSource
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches
from tests.querier.executors.tasks import Die, Fail, Hold, Pid, Spin
from tests.querier.executors.test_processes import CACHE_BYTES, asked, blocks_in, told, waits_for
from tests.querier.test_engine import METRICS, PARTS, _Sources, options
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.servers import ray_head
from tests.servers.ray_head import RayHead

ACTORS = 2
ATTACHED_S = 300.0
"""A machine under load takes a minute; this is for one that hangs."""
EXAMPLES = int(os.environ.get("NARFI_TEST_RAY_EXAMPLES", "60"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: make ray"),
]


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
def head() -> Iterator[RayHead]:
    """A cluster of one machine."""
    with ray_head.token(), ray_head.running(ACTORS) as found:
        yield found


@pytest.fixture(scope="module")
def executor(folder: Path, head: RayHead) -> Iterator[RayExecutor]:
    """For which every query is large."""
    threads = LocalExecutor(1)
    setup = Setup(objects=str(folder), cache_bytes=CACHE_BYTES)
    found = RayExecutor(threads, threads, ray_pool(head.address, ACTORS, setup), min_bytes=0)
    attached(found)
    yield found
    found.close()


def attached(executor: RayExecutor) -> None:
    """All channels to actors are there, again where they were lost."""
    pool, until = executor.pool, time.monotonic() + ATTACHED_S
    while not pool.is_ready() or len(pool.pids()) < pool.count:
        assert time.monotonic() < until
        pool._next_start_s = 0.0
        time.sleep(0.05)


@pytest.fixture(scope="module")
def block(folder: Path) -> BlockSource:
    """A block of a few lines."""
    entries: list[Entry] = [({"app": "a"}, {}, START_NS + n, b"line %d" % n) for n in range(9)]
    (found,) = blocks_in(folder, [entries])
    assert isinstance(found, BlockSource)
    return found


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    PARTS.map(lambda parts: [part for part in parts if part]).filter(bool),
    LOG_QUERIES | METRICS,
    st.sampled_from(Direction),
    st.sampled_from([1, 1000]),
    st.booleans(),
)
def test_answers_are_those_of_threads(
    local: LocalExecutor,
    executor: RayExecutor,
    folder: Path,
    parts: list[list[Entry]],
    expr: ast.Expr,
    direction: Direction,
    limit: int,
    has_head: bool,
) -> None:
    """And costs; with a head beside the blocks, too."""
    heads: list[LogSource] = []
    if has_head:
        heads = [MemorySource(merge_batches([batch_of(parts[-1])]), "head", "head")]
        parts = parts[:-1]
    blocks, text = blocks_in(folder, parts), format_expr(expr)
    wanted = options(START_NS, START_NS + 20 * NS, ALL_RULES, direction=direction, limit=limit)
    found: list[object] = []
    for where in (local, executor):
        engine = Engine(_Sources(heads), _Sources(blocks), where)
        try:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(range_aggregation, "FEW_ROWS", 0)  # counts go there, too
                answer = engine.run(text, replace(wanted, budget=Budget()))
            body = encode_answer(answer).split(b',"stats":')[0]
            found.append((body, None if limit < 1000 else told(answer)))
        except AppError as error:
            found.append((type(error), error.kind, str(error)))
    assert found[0] == found[1], text


def test_blocks_are_read_there_and_heads_here(executor: RayExecutor, block: BlockSource) -> None:
    there = set(executor.leaves(*asked(block, [Pid()] * 40)))
    assert len(there) == ACTORS
    assert there.isdisjoint({os.getpid(), *executor.pool.pids()})
    head = MemorySource(
        merge_batches([batch_of([({"app": "a"}, {}, START_NS, b"line")])]), "head", "head"
    )
    assert set(executor.leaves(*asked(head, [Pid()] * 3))) == {os.getpid()}


def test_a_small_query_stays_here(executor: RayExecutor, block: BlockSource) -> None:
    specs, context = asked(block, [Pid()] * 5)
    size = sum(spec.line_bytes for spec in specs)
    for least, here in ((size + 1, True), (size, False)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(executor, "_min_bytes", least)
            assert (set(executor.leaves(specs, context)) == {os.getpid()}) is here


def test_a_second_querier_shares_the_actors(
    executor: RayExecutor, head: RayHead, folder: Path, block: BlockSource
) -> None:
    threads = LocalExecutor(1)
    setup = Setup(objects=str(folder), cache_bytes=CACHE_BYTES)
    other = RayExecutor(threads, threads, ray_pool(head.address, ACTORS, setup), min_bytes=0)
    attached(other)
    there = set(other.leaves(*asked(block, [Pid()] * 40)))
    assert there == set(executor.leaves(*asked(block, [Pid()] * 40)))
    assert not set(other.pool.pids()) & set(executor.pool.pids())
    other.close()
    assert set(executor.leaves(*asked(block, [Pid()] * 40))) == there


def test_actors_of_a_machine_keep_what_they_read_on_its_disk(
    executor: RayExecutor, head: RayHead, folder: Path, tmp_path: Path
) -> None:
    """In one folder; what is damaged there is read from the store."""
    entries: list[Entry] = [({"app": "a"}, {}, START_NS + n, b"line %d" % n) for n in range(99)]
    blocks = blocks_in(folder, [entries])
    threads = LocalExecutor(1)
    setup = Setup(
        objects=str(folder), cache_bytes=0, disk_cache=str(tmp_path), shared_bytes=1 << 30
    )
    other = RayExecutor(threads, threads, ray_pool(head.address, ACTORS, setup), min_bytes=0)
    attached(other)
    wanted = options(START_NS, START_NS + NS, ALL_RULES, direction=Direction.FORWARD, limit=1000)

    def answer(where: RayExecutor | LocalExecutor) -> bytes:
        engine = Engine(_Sources([]), _Sources(blocks), where)
        found = engine.run('{app="a"} |= "line"', replace(wanted, budget=Budget()))
        return encode_answer(found).split(b',"stats":')[0]

    expected = answer(threads)
    assert [answer(other) for _ in range(6)] == [expected] * 6
    pieces = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert pieces
    for piece in pieces:
        piece.write_bytes(piece.read_bytes()[:-1] + b"!")
    assert [answer(other) for _ in range(6)] == [expected] * 6
    other.close()
    attached(executor)


def test_a_task_that_nobody_wants_ends(
    executor: RayExecutor, block: BlockSource, tmp_path: Path
) -> None:
    budget = Budget()
    specs, context = asked(block, [Spin(str(tmp_path))] * ACTORS, budget)

    def ask() -> None:
        with pytest.raises(QueryCancelledError):
            list(executor.leaves(specs, context))

    thread = Thread(target=ask)
    thread.start()
    waits_for(lambda: list(tmp_path.glob("begun-*")))
    budget.cancel()
    thread.join()
    waits_for(lambda: (tmp_path / "ended").exists())
    waits_for(lambda: not executor.pool._busy)


def test_a_deadline_ends_work_there(
    executor: RayExecutor, block: BlockSource, tmp_path: Path
) -> None:
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=NS // 2))
    with pytest.raises(QueryTimeoutError, match=r"query_timeout is 0\.5s"):
        list(executor.leaves(*asked(block, [Spin(str(tmp_path))], budget)))
    waits_for(lambda: not executor.pool._busy)


@pytest.mark.parametrize(
    "error", [InvalidRequestError("of the task"), ValueError("of the task"), MemoryError()]
)
def test_errors_of_a_task_are_raised(
    executor: RayExecutor, block: BlockSource, error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        list(executor.leaves(*asked(block, [Fail(error)])))
    assert str(raised.value) == str(error)


def test_what_a_task_keeps_is_charged_here_or_refused(
    executor: RayExecutor, block: BlockSource
) -> None:
    budget = Budget()
    budget.begin(Limits(max_query_memory=20 << 20))
    found = executor.leaves(*asked(block, [Hold((9 << 20, 3 << 20), 1 << 20)], budget))
    assert list(found) == [11 << 20]
    assert budget.used == 11 << 20
    with pytest.raises(QueryMemoryError, match="limit: 20"):
        list(executor.leaves(*asked(block, [Hold((10 << 20,), 0)], budget)))
    assert budget.used == 11 << 20


def test_an_actor_that_was_killed_is_not_noticed(
    executor: RayExecutor, block: BlockSource, tmp_path: Path
) -> None:
    attached(executor)
    assert list(executor.leaves(*asked(block, [Die(str(tmp_path), 1)]))) == [1]
    attached(executor)
    assert len(set(executor.leaves(*asked(block, [Pid()] * 40)))) == ACTORS


def test_a_task_that_ends_every_actor_is_refused_with_a_budget_in_the_text(
    executor: RayExecutor, block: BlockSource, tmp_path: Path
) -> None:
    budget = Budget()
    with pytest.raises(ScanProcessesLostError, match="max_query_memory") as raised:
        list(executor.leaves(*asked(block, [Die(str(tmp_path), 9)], budget)))
    assert raised.value.kind is ErrorKind.INVALID
    assert len(list(tmp_path.iterdir())) == 2
    assert budget.used == 0
    attached(executor)


def test_a_bridge_that_was_killed_is_not_noticed(executor: RayExecutor, block: BlockSource) -> None:
    for pid in set(executor.pool.pids()):
        os.kill(pid, signal.SIGKILL)
    assert len(list(executor.leaves(*asked(block, [Pid()] * 9)))) == 9
    attached(executor)


def test_without_a_cluster_queries_run_here_until_it_is_back(
    folder: Path, block: BlockSource
) -> None:
    setup = Setup(objects=str(folder), cache_bytes=CACHE_BYTES)
    with ray_head.token():
        with ray_head.running(1) as head:
            threads = LocalExecutor(1)
            executor = RayExecutor(threads, threads, ray_pool(head.address, 1, setup), min_bytes=0)
            # nothing waits for the cluster to be attached
            assert set(executor.leaves(*asked(block, [Pid()]))) == {os.getpid()}
            attached(executor)
            assert os.getpid() not in set(executor.leaves(*asked(block, [Pid()] * 5)))
            assert len(executor.pool.pids()) == TASKS_AT_ONCE
            head.kill()
            assert len(list(executor.leaves(*asked(block, [Pid()] * 9)))) == 9
            waits_for(lambda: set(executor.leaves(*asked(block, [Pid()]))) == {os.getpid()})
        port = int(head.address.rpartition(":")[2])
        with ray_head.running(1, port):
            attached(executor)
            assert os.getpid() not in set(executor.leaves(*asked(block, [Pid()] * 5)))
        executor.close()
