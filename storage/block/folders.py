"""How does a block's folder go away, or aside? Object by object, so that any stop leaves it told.

Invariant: the manifest (or index) goes first when a folder is deleted, and last when it is moved:
a folder with one is whole.
"""

from pathlib import PurePosixPath

from storage.block.layout import is_commit
from storage.objects.base import ObjectMissingError, ObjectStore

PREFIX = "blocks/"
LOST_FOUND = "lost+found"
"""Where folders lie that nobody knows; nothing in there is ever deleted by the server."""


def folders(objects: ObjectStore, prefix: str) -> list[str]:
    """The folders of blocks below a prefix, sorted."""
    return sorted({str(PurePosixPath(key).parent) for key in objects.list(prefix)})


def delete_objects(objects: ObjectStore, folder: str) -> int:
    """Delete a folder's objects; how many there were."""
    keys = sorted(objects.list(f"{folder}/"), key=lambda key: not is_commit(key))
    for key in keys:
        objects.delete(key)
    return len(keys)


def set_aside(objects: ObjectStore, folder: str) -> str:
    """Move a folder to `lost+found/`, keeping its path; where it lies then."""
    target = f"{LOST_FOUND}/{folder}"
    keys = sorted(objects.list(f"{folder}/"), key=is_commit)
    for key in keys:
        try:
            objects.move(key, f"{LOST_FOUND}/{key}")
        except ObjectMissingError:
            continue  # somebody else was faster
    return target
