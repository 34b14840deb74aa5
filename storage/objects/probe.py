"""May many processes write to this object store? Asked of the store itself when a server starts.

Several stores that call themselves compatible with S3 take no notice of `If-None-Match: *` and
overwrite; then two writers of one key would both believe that it is theirs.
"""

import contextlib
import uuid

from narfi.core.errors import AppError, ErrorKind
from storage.objects.base import ObjectError, ObjectExistsError, SharedObjects

PREFIX = "probe"


class UnfitStoreError(AppError):
    """The object store cannot be used, however often it is tried."""

    kind = ErrorKind.INVALID


def check_store(objects: SharedObjects, where: str) -> None:
    """Write, read and delete a small object.

    Raises `UnfitStoreError` for a store that overwrites what must not be there, `ObjectError` for
    one that does not answer or allow it.
    """
    key = f"{PREFIX}/{uuid.uuid4().hex}"
    objects.create(key, b"first")
    try:
        with contextlib.suppress(ObjectExistsError):
            objects.create(key, b"second")
        found = objects.get(key)
    finally:
        with contextlib.suppress(ObjectError):  # it is of no harm
            objects.delete(key)
    if found != b"first":
        raise UnfitStoreError(
            f"{where} overwrites an object that must not be there (it takes no notice of "
            "If-None-Match: *), so two processes could destroy each other's: use a store that "
            "creates conditionally"
        )
