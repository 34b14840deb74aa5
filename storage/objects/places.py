"""Where are objects, by the setting `storage.url`? A folder, or a prefix of a bucket.

obstore is imported only for a URL of a far store.
"""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from narfi.core.errors import AppError, ErrorKind
from storage.objects.base import SharedObjects
from storage.objects.filesystem import LocalObjects

SCHEMES = ("s3", "gs", "az")
OPTIONS = {"s3": ("endpoint", "region"), "gs": (), "az": ()}
"""What may stand behind `?` in a URL; everything else comes from the store's own variables."""


class StorageUrlError(AppError):
    """`storage.url` cannot be used."""

    kind = ErrorKind.INVALID


def local_folder(url: str) -> Path | None:
    """The folder that a URL means; None for a far store. Raises `StorageUrlError`."""
    if "://" not in url:
        return Path(url)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    _check(url)
    return None


def objects_at(url: str, *, hasty: bool = False) -> SharedObjects:
    """The objects there; nothing is asked of a far store yet. Raises `StorageUrlError`.

    `hasty`: for one who has little time for a request, and tries again himself.
    """
    folder = local_folder(url)
    if folder is not None:
        return LocalObjects(folder)
    try:
        from storage.objects.bucket import bucket_objects
    except ModuleNotFoundError as error:
        raise StorageUrlError(
            f"storage.url needs {error.name}: pip install 'narfi[cluster]'"
        ) from error
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    prefix = unquote(parts.path).strip("/")
    return bucket_objects(parts.scheme, parts.netloc, prefix, options, hasty=hasty)


def shown(url: str) -> str:
    """The URL as it may be told: without what stands behind `?` and before `@`."""
    return url.partition("?")[0] if "@" not in url else "storage.url"


def _check(url: str) -> None:
    """Say what is wrong with it, without repeating what may be a secret."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        message = f"storage.url: {parts.scheme}:// is not known; there are a folder, s3, gs, az"
        raise StorageUrlError(message)
    if "@" in parts.netloc or ":" in parts.netloc:
        raise StorageUrlError(
            "storage.url: name a bucket only; credentials come from the environment, endpoint= "
            "behind ? names another server"
        )
    if not parts.netloc:
        raise StorageUrlError("storage.url: it names no bucket")
    known = OPTIONS[parts.scheme]
    strange = [name for name, _ in parse_qsl(parts.query) if name not in known]
    if strange:
        there = ", ".join(known) or "none"
        raise StorageUrlError(f"storage.url: unknown option {strange[0]!r}; there are: {there}")
