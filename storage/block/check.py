"""Is a stored block as its manifest and its row of the catalog say? Every byte can be looked at.

What cannot be read is told apart from what is there and wrong: only the latter is damage.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from storage.block.footer import DamagedBlockError, bloom_checksums, footer_of
from storage.block.layout import MANIFEST, STREAMS, block_prefix, commit_of
from storage.block.manifest import Manifest, parse_manifest
from storage.catalog.base import BlockRow
from storage.objects.base import (
    Allow,
    BadObjectError,
    ObjectError,
    ObjectMissingError,
    ObjectStore,
    freely,
)

MISSING = "is missing"
NOT_OF_THE_ROW = "does not agree with the catalog's row"


class State(Enum):
    """How an object is wrong."""

    CHANGED = "changed"  # other bytes than were written
    ABSENT = "absent"  # nothing is there, or something that is no object
    UNREAD = "unread"  # the storage does not give it: nothing is known of its content


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as a manifest says."""

    key: str
    what: str
    state: State = State.CHANGED


def fault_of(key: str, error: ObjectError) -> Fault:
    """What it means that an object could not be read."""
    if isinstance(error, ObjectMissingError):
        return Fault(key, MISSING, State.ABSENT)
    if isinstance(error, DamagedBlockError):
        return Fault(key, error.message)
    absent = isinstance(error, BadObjectError)
    return Fault(key, error.message, State.ABSENT if absent else State.UNREAD)


def block_faults(
    objects: ObjectStore, row: BlockRow, *, deep: bool, allow: Allow = freely
) -> list[Fault]:
    """Everything that is wrong with a visible block; `deep`: every byte is read."""
    path = block_prefix(row.tenant, row.min_ts, row.block_id)
    key = f"{path}/{commit_of(row.format_version)}"
    try:
        manifest = parse_manifest(key, objects.get(key))
    except ObjectError as error:
        return [fault_of(key, error)]
    if manifest.row != row:
        return [Fault(key, NOT_OF_THE_ROW)]
    return list(faults_of(objects, path, manifest, deep=deep, allow=allow))


def faults_of(
    objects: ObjectStore, path: str, manifest: Manifest, *, deep: bool, allow: Allow = freely
) -> Iterator[Fault]:
    """Objects that are missing or not as the manifest says; `deep`: every byte is read."""
    commit = commit_of(manifest.row.format_version)
    if manifest.lacks_checks:
        yield Fault(f"{path}/{commit}", "lacks objects or checksums")
    for name, size in manifest.objects.items():
        key = f"{path}/{name}"
        try:
            found = objects.size(key)
            if found != size:
                yield Fault(key, f"has {found} bytes, and had {size} when it was written")
            elif deep:
                with allow(size):
                    found_bad = list(_content_faults(path, name, objects.get(key), manifest))
                yield from found_bad
        except ObjectError as error:
            yield fault_of(key, error)


def _content_faults(path: str, name: str, content: bytes, manifest: Manifest) -> Iterator[Fault]:
    """Against the manifest's checksums; in format 1, which has none, against those of the pages."""
    key, checksum = f"{path}/{name}", manifest.crc32c.get(name)
    if checksum is None:
        try:
            pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            yield Fault(key, DamagedBlockError(key, error).message)
    elif google_crc32c.value(content) != checksum:
        yield Fault(key, "has other bytes than were written: its checksum is wrong")
    elif (
        manifest.row.format_version < 3 and name != STREAMS and not _agrees(name, content, manifest)
    ):
        yield Fault(f"{path}/{MANIFEST}", f"has other checksums of {name} than were written")


def _agrees(name: str, content: bytes, manifest: Manifest) -> bool:
    """Whether what the manifest says of parts of a file is true of a file that is whole."""
    if name == STREAMS or manifest.row.format_version > 2:  # there the footers are in the index
        return True
    footer = google_crc32c.value(footer_of(content))
    blooms = manifest.bloom_crc32c.get(name, {})
    return footer == manifest.footer_crc32c.get(name) and blooms == bloom_checksums(content)
