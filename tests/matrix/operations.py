"""What is done while one thing fails? Each operation, what comes before it, and what must follow.

`before` makes a folder in which the operation has something to do; `run` does it, and may be done
again; `held` says what must hold when it failed, and `finished` what must when it did not.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import google_crc32c

from narfi.core.errors import AppError, ErrorKind
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.retention import RetentionPolicy, RetentionRule
from querier.reading.deletes import DeleteRequests
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow
from storage.catalog.delete_log import DeleteLog
from storage.journal.segment import segment_paths
from storage.objects.base import ObjectMissingError
from storage.objects.filesystem import TEMPORARY
from storage.vault.backup import backup
from storage.vault.data_dir import UNFINISHED, DataDir
from storage.vault.record import read_record
from storage.vault.repair import give_up
from storage.vault.restore import restore, restore_block
from tests.ingester.lives import GRACE_NS
from tests.matrix.world import DAY, NOW, TENANT, World, lines_in
from tests.storage.catalog.rows import every_block
from tests.upkeep.fresh import MIN_BLOCKS, compact, retention_of, worker_of
from upkeep.size import shrink

SECRET = b"secret"
OLD = RetentionPolicy(0, (RetentionRule((Matcher("app", MatchOp.EQ, "a"),), 1, 30 * DAY),))


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Something that a server, or a command, does."""

    name: str
    before: Callable[[World], None]
    run: Callable[[World], None]
    held: Callable[[World, str], None] = World.check
    finished: Callable[[World], None] = lambda _: None
    restarts: bool = False  # it stops the process and starts another


def push(world: World) -> None:
    """Two pushes: the second opens no segment."""
    world.push()
    world.push()


def flush(world: World) -> None:
    """Cut, merge, encode, put, publish, drop, truncate."""
    world.process.flush()
    world.process.flush()


def replay(world: World) -> None:
    """A process starts."""
    world.process.stop_quietly()
    world.start()


def merge(world: World) -> None:
    """Compaction."""
    compact(world.process.catalog, world.process.store)


def collect(world: World) -> None:
    """Objects of removed blocks go, and a folder that nobody knows is set aside."""
    world.clock.advance(2 * GRACE_NS)
    world.process.garbage.collect()


def delete(world: World) -> None:
    """Requests that are due."""
    world.clock.advance(2 * DAY)
    world.deletes().execute()


def expire(world: World) -> None:
    """Retention by age, then by size: the newest block stays."""
    process, now_ns = world.process, world.clock.now_ns()
    world.clock.advance(max(0, NOW + 60 * DAY - now_ns))
    retention_of(process.catalog, process.store, lambda _: OLD).run()
    rows = list(process.catalog.oldest(100))
    shrink(
        process.catalog,
        worker_of(process.catalog, process.store),
        max((row.stored_bytes for row in rows), default=0),
    )


def back_up(world: World) -> None:
    """A backup to a place that holds an older one."""
    there = set(world.known.acknowledged)
    done = backup(world.data, world.target(), world.clock)
    world.known.backed_up, world.known.backed_up_ns = there, done.record.finished_ns


def bring_back(world: World) -> None:
    """The backup as a new data folder, unless that was done."""
    root = world.restored.root
    if root.exists() and any(root.iterdir()) and not (root / UNFINISHED).exists():
        return
    restore(world.target(), world.restored, world.disk)


def bring_block_back(world: World) -> None:
    """A damaged block from the backup, while the server runs."""
    restore_block(world.target(), world.data, world.known.block_id, world.disk)


def abandon(world: World) -> None:
    """A damaged block that no backup holds, while no server runs, unless that was done."""
    visible = {row.block_id for row in every_block(world.process.catalog, TENANT)}
    world.process.stop_quietly()
    if world.known.block_id in visible:
        give_up(world.data, world.clock, world.known.block_id)
    world.start()


def ask(world: World) -> None:
    """A query of everything: a whole answer, or none."""
    world.check("an answer is whole")


def before_push(world: World) -> None:
    """A part in the head."""
    world.push()


def before_flush(world: World) -> None:
    """Two segments with records that no block holds."""
    for _ in range(6):
        world.push(5)


def before_replay(world: World) -> None:
    """As before a flush, and a block."""
    world.push()
    world.process.flush()
    before_flush(world)


def before_merge(world: World) -> None:
    """Small blocks, enough for one merge, and something in the head."""
    for _ in range(MIN_BLOCKS):
        world.push()
        world.process.flush()
    world.push()


def before_collect(world: World) -> None:
    """A merge was done: its inputs are removed. A stray folder lies there."""
    before_merge(world)
    merge(world)
    world.process.objects.put("blocks/t/1970-01-01/stray/lines.parquet", b"whose?")


def before_delete(world: World) -> None:
    """A block to rewrite, one that goes whole, one that stays, and some in the head."""
    world.push()
    world.push(2, SECRET)
    world.process.flush()
    world.push(2, SECRET)
    world.process.flush()
    world.push()
    world.process.flush()
    world.push(2, SECRET)
    world.push(2)
    log = DeleteLog(world.process.catalog)
    DeleteRequests(log, world.clock, lambda _: Limits()).create(
        TENANT, '{app="a"} |= "secret"', 0, NOW + DAY
    )
    world.known.may_go = {line for line in world.known.attempted if line.startswith(SECRET)}


def before_expire(world: World) -> None:
    """Three blocks that are old when the clock has moved on, and a head that is in none yet."""
    for _ in range(3):
        world.push()
        world.process.flush()
    world.known.may_go = set(world.known.attempted)
    world.push()


def before_backup(world: World) -> None:
    """An older backup; a block and records that it does not hold, one block that is gone since."""
    for _ in range(2):
        world.push()
        world.process.flush()
    back_up(world)
    world.push()
    world.process.flush()
    world.push()


def before_restore(world: World) -> None:
    """A backup with all that there is."""
    world.push()
    world.process.flush()
    world.push()
    back_up(world)


def before_block(world: World) -> None:
    """As before a restore, and the block is damaged since."""
    before_restore(world)
    _damage(world)


def before_give_up(world: World) -> None:
    """Two blocks, one of them damaged, and something in the head."""
    world.push()
    world.process.flush()
    world.known.may_go = set(world.known.attempted)
    _damage(world)
    world.push()
    world.process.flush()
    world.push()


def before_loss(world: World) -> None:
    """Bytes of a record in the journal are not as they were written."""
    before_flush(world)
    world.process.journal.close()
    (oldest, *_) = segment_paths(world.data.journal)
    content = bytearray(oldest.read_bytes())
    content[len(content) // 3] ^= 1
    oldest.write_bytes(content)
    world.known.may_go = set(world.known.attempted)  # the records that were hit, told below
    world.start()
    world.known.may_go -= set(world.process.lines(TENANT))
    world.process.catalog.database.write(
        lambda c: c.exec_driver_sql("delete from losses")
    )  # as if that start had not been


def _first_block(world: World) -> BlockRow:
    return next(iter(every_block(world.process.catalog, TENANT)))


def _damage(world: World) -> None:
    row = _first_block(world)
    world.known.block_id = row.block_id
    folder = world.data.root / "objects" / block_prefix(row.tenant, row.min_ts, row.block_id)
    (folder / "streams.parquet").write_bytes(b"not what was written")


def deleted(world: World) -> None:
    """The receipt says so, and none is there."""
    assert world.gone() == world.known.may_go
    world.check("deleted")


def expired(world: World) -> None:
    """One of the old blocks at most is left, and what is in no block."""
    assert len(list(every_block(world.process.catalog, TENANT))) <= 1


def a_backup_is_whole(world: World, when: str) -> None:
    """The one that was told as done, or a newer one: every file of it; and the server goes on."""
    world.check(when)
    target = world.target()
    record = read_record(target)
    assert record is not None, when
    assert record.finished_ns >= world.known.backed_up_ns, when
    for key, stored in record.files.items():
        content = target.get(key)
        assert (len(content), google_crc32c.value(content)) == (stored.size, stored.crc32c), when


def can_be_restored(world: World) -> None:
    """A server that starts from the backup answers what was acknowledged when it was made."""
    goal = world.root / "proof"
    shutil.rmtree(goal, ignore_errors=True)
    restore(world.target(), DataDir(goal))
    found = lines_in(goal, world.root / "proof-started")
    assert world.known.backed_up <= found <= world.known.attempted


def whole_or_refused(world: World, when: str) -> None:
    """A folder that a restore did not finish is not served; one that it did is whole."""
    root = world.restored.root
    if not root.exists() or all(path.name.startswith(TEMPORARY) for path in root.iterdir()):
        return  # as before its first step
    try:
        world.restored.check_is_whole()
    except AppError:
        assert (root / UNFINISHED).exists(), when
        return
    assert lines_in(root, world.root / "proof-started") == world.known.backed_up, when


def brought_back(world: World) -> None:
    """Everything of the backup is there, and served."""
    world.restored.check_is_whole()
    whole_or_refused(world, "finished")


def told_or_whole(world: World, when: str) -> None:
    """While a block is damaged or gone, queries over it say so; else they are whole."""
    told: AppError | None = None
    try:
        world.check(when)
    except ObjectMissingError:
        return  # of which the service makes 503
    except AppError as error:
        told = error
    assert told is None or told.kind is ErrorKind.UNAVAILABLE, when


def given_up(world: World) -> None:
    """The block is hidden, the loss remembered, and everything else is answered."""
    world.check("given up")
    (loss,) = world.process.catalog.losses()
    assert loss.reason == "a damaged block was given up"
    assert world.known.block_id not in {r.block_id for r in every_block(world.process.catalog)}


def loss_is_told(world: World) -> None:
    """The records that are missing are a row of the catalog, once."""
    world.check("told")
    (loss,) = world.process.catalog.losses()
    assert world.known.may_go
    assert "damaged" in loss.reason


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(name="push", before=before_push, run=push),
        Operation(name="flush", before=before_flush, run=flush),
        Operation(name="replay", before=before_replay, run=replay, restarts=True),
        Operation(
            name="loss", before=before_loss, run=replay, finished=loss_is_told, restarts=True
        ),
        Operation(name="query", before=before_replay, run=ask),
        Operation(name="compaction", before=before_merge, run=merge),
        Operation(name="garbage", before=before_collect, run=collect),
        Operation(name="delete", before=before_delete, run=delete, finished=deleted),
        Operation(name="retention", before=before_expire, run=expire, finished=expired),
        Operation(
            name="backup",
            before=before_backup,
            run=back_up,
            held=a_backup_is_whole,
            finished=can_be_restored,
        ),
        Operation(
            name="restore",
            before=before_restore,
            run=bring_back,
            held=whole_or_refused,
            finished=brought_back,
        ),
        Operation(
            name="restore-block",
            before=before_block,
            run=bring_block_back,
            held=told_or_whole,
            finished=ask,
        ),
        Operation(
            name="give-up",
            before=before_give_up,
            run=abandon,
            held=told_or_whole,
            finished=given_up,
            restarts=True,
        ),
    )
}
