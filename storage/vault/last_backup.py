"""When was the last backup made? A small file that `narfi backup` leaves in the data folder.

It is for people who look at the server's state; nothing depends on it, and no backup holds it.
"""

from dataclasses import asdict, dataclass

import orjson
import structlog

from storage.plain_file import read_plain
from storage.vault.data_dir import DataDir
from storage.vault.record import Record

log = structlog.get_logger(__name__)

LAST_BACKUP = "last-backup.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBackup:
    """A backup that ended well."""

    snapshot: str
    began_ns: int  # everything acknowledged before is in it
    finished_ns: int
    blocks: int
    entries: int
    damaged: int  # objects of which it holds no sound copy


def note_backup(data: DataDir, record: Record) -> None:
    """Leave it in the data folder; where that cannot be written, a warning."""
    found = LastBackup(
        snapshot=record.snapshot,
        began_ns=record.began_ns,
        finished_ns=record.finished_ns,
        blocks=record.blocks,
        entries=record.entries,
        damaged=len(record.damaged),
    )
    path = data.root / LAST_BACKUP
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(orjson.dumps(asdict(found)) + b"\n")
        temporary.rename(path)
    except OSError as error:
        log.warning("the backup is made, and not noted in the data folder", error=error.strerror)


def last_backup(data: DataDir) -> LastBackup | None:
    """The last one that was noted; None where there is none, or the note cannot be read."""
    try:
        return LastBackup(**orjson.loads(read_plain(data.root / LAST_BACKUP)))
    except (OSError, ValueError, TypeError):
        return None
