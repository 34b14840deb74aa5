"""What is in a backup? `backup.json`, written last: what it does not name is not part of one.

A backup lies below a folder or URL:

    narfi-backup.txt            says what this is; written first
    backup.json                 the newest whole backup: every file with its size and CRC32C
    objects/blocks/…            as in a data folder; shared by one backup and the next
    snapshots/<id>/catalog.db   of one backup
    snapshots/<id>/journal/…
    snapshots/<id>/damaged/…    objects that were damaged when they were copied, by their keys

Invariant: `backup.json` is replaced in one step, when everything that it names is there, and what
it names is never overwritten or deleted while it is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from narfi.core.errors import AppError, ErrorKind
from storage.objects.base import ObjectMissingError, ObjectStore

RECORD = "backup.json"
MARKER = "narfi-backup.txt"
MARKER_TEXT = b"A backup of Narfi's data: see backup.json, and Backup in docs/operations.md.\n"
OBJECTS = "objects/"
SNAPSHOTS = "snapshots/"
DAMAGED = "damaged/"
FORMAT = 1


class BackupError(AppError):
    """A backup cannot be made or used; what was there before is as it was."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of a backup."""

    size: int
    crc32c: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One whole backup."""

    snapshot: str
    began_ns: int  # everything acknowledged before is in it
    finished_ns: int
    journal_id: str | None
    blocks: int
    entries: int  # in blocks
    files: Mapping[str, Stored]
    damaged: Sequence[str]  # keys of objects of which there is no sound copy

    def folder(self) -> str:
        """Where the files of this backup alone lie."""
        return f"{SNAPSHOTS}{self.snapshot}/"


def encode_record(record: Record) -> bytes:
    """The bytes of `backup.json`."""
    content = {
        "format_version": FORMAT,
        "snapshot": record.snapshot,
        "began_ns": record.began_ns,
        "finished_ns": record.finished_ns,
        "journal_id": record.journal_id,
        "blocks": record.blocks,
        "entries": record.entries,
        "damaged": sorted(record.damaged),
        "files": {key: [f.size, f.crc32c] for key, f in sorted(record.files.items())},
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def read_record(target: ObjectStore) -> Record | None:
    """The newest whole backup there; None where there is none. Raises `BackupError`."""
    try:
        data = target.get(RECORD)
    except ObjectMissingError:
        return None
    try:
        content = orjson.loads(data)
        version = content["format_version"]
        if version != FORMAT:
            message = f"the backup has format {version}; this version reads {FORMAT}"
            raise BackupError(message)
        return Record(
            snapshot=str(content["snapshot"]),
            began_ns=int(content["began_ns"]),
            finished_ns=int(content["finished_ns"]),
            journal_id=content["journal_id"],
            blocks=int(content["blocks"]),
            entries=int(content["entries"]),
            files={key: Stored(int(s), int(crc)) for key, (s, crc) in content["files"].items()},
            damaged=[str(key) for key in content["damaged"]],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupError(f"{RECORD} of the backup is damaged: {error!r}") from error
