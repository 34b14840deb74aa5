"""Which blocks lie in an object store, and what do their manifests say? Without a catalog."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from storage.block.check import Fault, fault_of, faults_of
from storage.block.folders import folders
from storage.block.layout import MANIFEST, block_prefix, commit_of
from storage.block.manifest import Manifest, read_manifest
from storage.objects.base import BadObjectError, ObjectError, ObjectMissingError, ObjectStore


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


def look_at(objects: ObjectStore, path: str, commit: str = MANIFEST) -> Folder:
    """One folder, by its manifest and the sizes of its objects.

    `commit`: the object with the manifest, where it is known; named when there is none.
    """
    try:
        manifest = read_manifest(objects, path)
    except ObjectError as error:
        key = f"{path}/{commit}"
        if isinstance(error, BadObjectError) and not isinstance(error, ObjectMissingError):
            key = error.key
        return Folder(path, None, (fault_of(key, error),))
    row = manifest.row
    key = f"{path}/{commit_of(row.format_version)}"
    if not path.endswith(block_prefix(row.tenant, row.min_ts, row.block_id)):
        return Folder(path, None, (Fault(key, "belongs to a block of another folder"),))
    return Folder(path, manifest, tuple(faults_of(objects, path, manifest, deep=False)))
