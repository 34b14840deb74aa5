"""Which blocks lie in an object store, and is each as its manifest says? Without a catalog."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from storage.block.folders import folders
from storage.block.footer import DamagedBlockError
from storage.block.layout import MANIFEST, block_prefix
from storage.block.manifest import Manifest, read_manifest
from storage.objects.base import ObjectError, ObjectMissingError, ObjectStore

MISSING = "is missing"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as a manifest says."""

    key: str
    what: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder below `blocks/`, wherever that lies."""

    path: str
    manifest: Manifest | None  # None: there is none, or it cannot be read
    faults: tuple[Fault, ...]

    @property
    def block_id(self) -> str:
        """The block that the folder is named after."""
        return PurePosixPath(self.path).name


def survey(objects: ObjectStore, prefix: str) -> Iterator[Folder]:
    """Every folder below the prefix, and what is wrong with its manifest and its objects' sizes."""
    for path in folders(objects, prefix):
        yield look_at(objects, path)


def look_at(objects: ObjectStore, path: str) -> Folder:
    """One folder, by its manifest and the sizes of its objects."""
    key = f"{path}/{MANIFEST}"
    try:
        manifest = read_manifest(objects, path)
    except ObjectMissingError:
        return Folder(path, None, (Fault(key, MISSING),))
    except ObjectError as error:
        return Folder(path, None, (Fault(key, error.message),))
    row = manifest.row
    if not path.endswith(block_prefix(row.tenant, row.min_ts, row.block_id)):
        return Folder(path, None, (Fault(key, "belongs to a block of another folder"),))
    return Folder(path, manifest, tuple(faults_of(objects, path, manifest, deep=False)))


def faults_of(
    objects: ObjectStore, path: str, manifest: Manifest, *, deep: bool
) -> Iterator[Fault]:
    """Objects that are missing or not as the manifest says; `deep`: every byte is read."""
    for name, size in manifest.objects.items():
        key = f"{path}/{name}"
        try:
            found = objects.size(key)
            if found != size:
                yield Fault(key, f"has {found} bytes, and had {size} when it was written")
            elif deep:
                yield from _content_faults(key, objects.get(key), manifest.crc32c.get(name))
        except ObjectMissingError:
            yield Fault(key, MISSING)
        except ObjectError as error:
            yield Fault(key, error.message)


def _content_faults(key: str, content: bytes, checksum: int | None) -> Iterator[Fault]:
    """Against the manifest's checksum; in format 1, which has none, against those of the pages."""
    if checksum is not None:
        if google_crc32c.value(content) != checksum:
            yield Fault(key, "has other bytes than were written: its checksum is wrong")
        return
    try:
        pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        yield Fault(key, DamagedBlockError(key, error).message)
